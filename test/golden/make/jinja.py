"""Writes test/golden/generate/jinja.json: what Jinja2 makes of chat templates, in the environment of transformers.

usage: jinja.py        (jinja2)

The templates are made up for this, with what published ones have in them; not with what @huggingface/jinja does otherwise:
it prints none, true, false and lists as JavaScript does, and members of nothing are nothing. Of those that fail: the line, where Jinja2 or a
traceback through the template says it, and the message of raise_exception.
"""
import json
import traceback
from pathlib import Path

import jinja2
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUT = Path(__file__).resolve().parent.parent / "generate" / "jinja.json"

TEMPLATES = {
    "chatml": """{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "inst": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}\
{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}\
{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}\
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}\
{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "headers": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{#- a remark with {{ braces }} and {% tags %} #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start|>system<|end|>\\n\\n" }}
{%- if tools is not none %}{{- "tools" }}{%- endif %}
{{- "Today: " ~ date_string ~ "\\n" + system_message + "<|eot|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or 'tool_calls' in message) %}
        {{- '<|start|>' + message['role'] + '<|end|>\\n\\n'+ message['content'] | trim + '<|eot|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start|>assistant<|end|>\\n\\n' }}
{%- endif %}""",
    "thinking": """{%- set ns = namespace(last=-1, seen=[]) %}
{%- for message in messages[::-1] %}
    {%- if ns.last < 0 and message.role == "user" %}{%- set ns.last = messages|length - 1 - loop.index0 %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "assistant" and '</think>' in message.content %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
    {%- else %}
        {%- set content = message.content %}
    {%- endif %}
    {{- loop.index ~ '/' ~ loop.length ~ ' ' ~ message.role|upper ~ ': ' ~ content ~ ('' if loop.last else '\\n') }}
{%- endfor %}
{{ 'last user turn ' ~ ns.last }}
{% if enable_thinking is defined and enable_thinking is false %}
<think>

</think>
{% endif %}
""",
    "macros": """{%- macro turn(role, text, end='<end>') -%}
    <start>{{ 'model' if role == 'assistant' else role }}
{{ text | trim }}{{ end }}
{%- endmacro -%}
{{ bos_token }}{%- set systems = messages | selectattr('role', 'equalto', 'system') | list %}
{%- set others = messages | rejectattr('role', 'equalto', 'system') | list %}
systems {{ systems | length }}, first {{ (others | first).role }}, last {{ (others | last).role }}
{% for message in others %}
{{ turn(message.role, message.content, end='<end>\\n') }}
{%- endfor %}
{% if add_generation_prompt %}<start>model
{% endif %}""",
    "filters": """{{ messages | map(attribute='role') | join(', ') }}
{{ messages[0] | tojson }}
{{ messages[-1].content | replace('a', '4') | upper }}
{{ nothing | default('absent') }}{{ 7 // 2 }}{{ 2 ** 3 }}{{ 1.5 }}{{ 'yes' if true }}
{% for key, value in messages[0].items() %}{{ key }}={{ value }};{% endfor %}

{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}

{% set block %}in a {{ 'block' }}{% endset %}{{ block | length }} {{ block[3:5] }} {{ 'in' if 'b' in block }}
{% for message in messages if message.role != 'system' %}{{ loop.index }}{% else %}none{% endfor %}
\\n is no line end here, "{{ '\\n' }}" is.  
   {% if messages is iterable and messages[0] is mapping %}lists{% endif %}   
""",
    "generation": """{% for message in messages %}{% if message.role == 'assistant' %}
{% generation %}{{ message.content }}{% endgeneration %}
{% else %}{{ message.content }}{% endif %}{% endfor %}""",
}
BROKEN = {
    "refuses": "{{ bos_token }}\n{% for message in messages %}\n{% if message.role == 'system' %}\n\n{{ raise_exception('no ' + message.role + ' here') }}\n{% endif %}\n{% endfor %}",
    "unknown tag": "one\ntwo {{ bos_token }}\n{% fore message in messages %}{% endfor %}",
    "unknown filter": "{# a\nb #}\n{% if true %}\n{{ bos_token | shout }}{% endif %}",
    "no end of expression": "{{ bos_token }}\n\n{{ messages[0].content",
    "operator": "{{ bos_token }}\n{{ messages[0]. }}\n{{ eos_token }}",
    "missing brackets": "{% if true %}\n{% for m in messages %}\n{{ (m.content }}\n{% endfor %}{% endif %}",
    "call of nothing": "{% set a = 1 %}\n\n\n{{ nothing() }}",
    "no endif": "{{ bos_token }}\n{% if true %}\n{{ eos_token }}\n",
}
CONVERSATIONS = [
    [{"role": "user", "content": " a banana "}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb\n"}, {"role": "user", "content": "{{ c }} \u00e9\n"}],
]


class Generation(jinja2.ext.Extension):
    """transformers' tag for what an assistant has written, which leaves no trace in the text."""

    tags = {"generation"}

    def parse(self, parser):
        parser.stream.skip(1)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def raise_exception(message):
    raise TemplateError(message)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
environment.filters["tojson"] = lambda x: json.dumps(x, ensure_ascii=False)
environment.globals["raise_exception"] = raise_exception
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>", "tools": None, "documents": None}


def render(template, messages, **more):
    return environment.from_string(template).render(messages=messages, **VARIABLES, **more)


def outcome(template, messages, **more):
    try:
        return {"text": render(template, messages, **more)}
    except TemplateSyntaxError as error:
        return {"line": error.lineno}
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
        refused = {"refused": str(error)} if type(error) is TemplateError else {}
        return {"line": lines[-1], **refused}


cases = []
for name, template in {**TEMPLATES, **BROKEN}.items():
    outcomes = []
    for messages in CONVERSATIONS:
        for more in ({"add_generation_prompt": True}, {"add_generation_prompt": False, "enable_thinking": False}):
            outcomes.append({"messages": messages, "variables": more, **outcome(template, messages, **more)})
    cases.append({"name": name, "template": template, "outcomes": outcomes})
OUT.parent.mkdir(exist_ok=True)
OUT.write_text(json.dumps({"madeBy": f"jinja2 {jinja2.__version__}", "cases": cases}, ensure_ascii=False, indent=1) + "\n")
