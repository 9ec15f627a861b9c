"""Writes test/golden/generate/templates.json: what transformers makes of chat templates.

usage: templates.py        (transformers 5.24.0, Jinja2 3.1.6)

The templates of `kinds` were written for this, each in the manner of a family's published one; those of `language`
try what published templates use of Jinja, those of `rare` what few or none do. What comes of each is `text`, or
`error`: the message that raise_exception was given, or true for what Jinja or Python refuses. They render with
trim_blocks and lstrip_blocks, in transformers' sandbox.
"""

import json
from pathlib import Path

import jinja2
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

OUT = Path(__file__).resolve().parent.parent / "generate" / "templates.json"

KINDS = {
    "ChatML with a default system message, as Qwen2": {
        "bos_token": None, "eos_token": "<|im_end|>",
        "template": """{% for message in messages %}
{% if loop.first and message['role'] != 'system' %}
{{- '<|im_start|>system\\nAnswer briefly.<|im_end|>\\n' -}}
{% endif %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' -}}
{% endfor %}
{% if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' -}}
{% endif %}""",
    },
    "headers and trimmed contents, as Llama 3": {
        "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>",
        "template": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = '1 May 2026' %}
    {%- endif %}
{%- endif %}
{#- the system message is taken out, for there is one in any case #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- else %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or (message.content is iterable and message.content is not string) %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    },
    "[INST] and turns that must alternate, as Mistral": {
        "bos_token": "<s>", "eos_token": "</s>",
        "template": """{%- if messages[0]["role"] == "system" -%}
    {%- set system_message = messages[0]["content"] -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set turns = messages -%}
{%- endif -%}
{{ bos_token }}
{%- for message in turns -%}
    {%- if (message["role"] == "user") != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("user and assistant must take turns") }}
    {%- endif -%}
    {%- if message["role"] == "user" -%}
        {%- if loop.last and system_message is defined -%}
            {{ "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else -%}
            {{ "[INST] " + message["content"] + "[/INST]" }}
        {%- endif -%}
    {%- elif message["role"] == "assistant" -%}
        {{ " " + message["content"] | trim + eos_token }}
    {%- else -%}
        {{ raise_exception("no role but user and assistant: " ~ message["role"]) }}
    {%- endif -%}
{%- endfor -%}
""",
    },
    "no system role, and the model's own name for the assistant, as Gemma": {
        "bos_token": "<bos>", "eos_token": "<eos>",
        "template": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('there is no system role') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and assistant must take turns') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}""",
    },
    "contents in parts, the system's before the first user's, as Gemma 3": {
        "bos_token": "<bos>", "eos_token": "<eos>",
        "template": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception('content is neither a text nor parts') }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}
""",
    },
    "a prefix of two tokens, tools as JSON, as GLM-4": {
        "bos_token": None, "eos_token": "<|endoftext|>",
        "template": """[gMASK]<sop>
{%- if tools is defined and tools -%}
<|system|>
Tools at hand:
{% for tool in tools %}{% set tool = tool.function if tool.function else tool %}

## {{ tool.name }}

{{ tool | tojson(indent=4) }}
Say the arguments as JSON.
{% endfor %}{%- endif %}
{%- for item in messages %}
{%- if item['tools'] is defined %}
<|system|>
{{ item['tools'] | length }} tools{% endif %}
{%- if item['content'] %}
<|{{ item['role'] }}|>{{ item.get('metadata', '') }}
{{ item['content'] }}{% endif %}
{%- endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}""",
    },
    "a namespace, and thoughts cut off, as DeepSeek": {
        "bos_token": "<|begin|>", "eos_token": "<|end|>",
        "template": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{% set ns = namespace(is_first=true, system_prompt='', users=0) %}
{%- for message in messages if message['role'] == 'system' %}
    {%- if ns.is_first %}{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first = false %}
    {%- else %}{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}
{%- endfor %}
{{- bos_token }}{{ ns.system_prompt }}
{%- for message in messages %}
    {%- if message['role'] == 'user' %}
        {%- set ns.users = ns.users + 1 %}
        {{- '<|User|>' + message['content'] }}
    {%- endif %}
    {%- if message['role'] == 'assistant' and message['content'] is not none %}
        {%- set content = message['content'] %}
        {%- if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}
        {{- '<|Assistant|>' + content.lstrip('\\n') + eos_token }}
    {%- endif %}
{%- endfor -%}
{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}{{ '<|Assistant|><think>\\n' }}{% endif %}
""",
    },
    "in one line, as SmolLM2": {
        "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
        "template": """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are small and quick<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    },
    "backwards for the last question, thinking or not, tool calls, as Qwen3": {
        "bos_token": None, "eos_token": "<|im_end|>",
        "template": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Functions\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thought = '' %}
        {%- if '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or thought) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{%- endif %}
            {%- set tool_call = tool_call.function or tool_call %}
            {{- '<tool_call>\\n{"name": "' ~ tool_call.name ~ '", "arguments": ' }}
            {%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    },
    "the Llama 2 way, with a condition inside an expression": {
        "bos_token": "<s>", "eos_token": "</s>",
        "template": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    },
}


def said(*turns):
    return [{"role": role, "content": content} for role, content in turns]


QUESTION, ANSWER = ("user", "How far is the moon?"), ("assistant", "  384,400 km.\n")
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"type": "function", "function": {"name": "tide", "arguments": {"port": "Saint-Malo", "hours": 6, "deep": True, "at": None, "metres": 12.5}}},
]}
TOOL = {"type": "function", "function": {"name": "tide", "description": "Says how high the water stands: <m> & 'cm'", "parameters": {
    "type": "object", "properties": {"port": {"type": "string"}, "hours": {"type": "integer"}}, "required": ["port"]}}}
CONVERSATIONS = {
    "a question": {"messages": said(QUESTION)},
    "a question and no prompt for an answer": {"messages": said(QUESTION), "add_generation_prompt": False},
    "a system message": {"messages": said(("system", " Answer as a sailor would. "), QUESTION)},
    "several turns": {"messages": said(("system", "Be exact."), QUESTION, ANSWER, ("user", "And the sun?"))},
    "an answer last": {"messages": said(QUESTION, ANSWER), "add_generation_prompt": False},
    "white space, quotes and other alphabets": {"messages": said(("user", " \n\"Où\" est\tl'été? \\n 月 <b>&amp;</b> 🌘\n\n"))},
    "two questions in a row": {"messages": said(QUESTION, ("user", "Well?"))},
    "thoughts": {"messages": said(QUESTION, ("assistant", "<think>\nIt varies.\n</think>\n\n384,400 km."), ("user", "Always?"))},
    "no thinking": {"messages": said(QUESTION), "enable_thinking": False},
    "tools": {
        "messages": [*said(("system", "Be exact."), ("user", "High water?")), CALL, {"role": "tool", "content": "7.1 m"}],
        "tools": [TOOL],
    },
    "parts": {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What is this? "}]}]},
}

MESSAGES = CONVERSATIONS["several turns"]["messages"]
LANGUAGE = [
    "{% if true %}\n  a\n{% endif %}\nb\n",
    "a\n    {% if true %}b{% endif %}\n    c",
    "a  {%- if true -%}  b  {%- endif -%}  c",
    "a {# a comment #}\n  {#- another -#}  b",
    "{% raw %}{{ x }} {% if %}{% endraw %}",
    "{{ 'a\\tb\\'c\\\\' ~ \"d\\n\" }}|",
    "{{ 7 // 2 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ -7 % 3 }} {{ -7 // 2 }} {{ 2 ** 10 }} {{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }}",
    "{{ 1.0 }} {{ 1e20 }} {{ 0.1 + 0.2 }} {{ true }} {{ none }} {{ None }} {{ True and 'x' }} {{ '' or 'y' }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' in 'cat' }} {{ 'x' not in ['x'] }} {{ not false }} {{ 1 == 1.0 }}",
    "{{ [1, 'a', none, true, {'k': \"it's\"}] }} {{ (1, 2) }} {{ {} }} {{ 'a' * 3 }} {{ [1] + [2] }}",
    "{{ 'abcdef'[1:4] }} {{ 'abcdef'[::-1] }} {{ 'abcdef'[-2:] }} {{ [1, 2, 3][::2] }} {{ messages[-1].content[0] }}",
    "{{ missing }}|{{ missing is defined }}|{{ messages[0].nothing }}|{{ missing | default('d') }}|{{ '' | default('e', true) }}",
    "{{ missing.deeper }}",
    "{{ 'a' + 1 }}",
    "{% for m in messages if m.role != 'system' %}{{ loop.index }}/{{ loop.length }} {{ m.role }} {{ loop.revindex }}{% if not loop.last %}, {% endif %}{% else %}none{% endfor %}",
    "{% for x in [] %}{{ x }}{% else %}empty{% endfor %}",
    "{% for a, b in {'x': 1, 'y': 2}.items() %}{{ a }}={{ b }};{% endfor %}{% for k in {'p': 1, 'q': 2} %}{{ k }}{% endfor %}",
    "{% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %} {{ range(2, 9, 3) | list }}",
    "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set text %}a {{ 1 + 1 }}{% endset %}[{{ text }}]",
    "{% set a, b = [1, 2] %}{{ b }}{{ a }}",
    "{% macro greet(name, mark='!') %}Hi {{ name }}{{ mark }}{% endmacro %}{{ greet('A') }} {{ greet('B', mark='?') }}{{ greet(name='C') | upper }}",
    "{% if messages is iterable and messages is not string and messages is not mapping %}list{% endif %} {{ 1 is number }} {{ 1 is integer }} {{ 1.5 is float }} {{ true is boolean }} {{ none is none }} {{ 3 is odd }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 'a' is sameas 'a' }} {{ 1 is eq 1 }} {{ 'a' in ['a'] }} {{ true is true }} {{ 'x' is sequence }} {{ 'ab' is lower }}",
    "{{ ' a b ' | trim }}|{{ 'aXb' | lower }}|{{ 'ab' | upper }}|{{ 'hello world' | title }}|{{ 'hELLO' | capitalize }}|{{ 'a-b' | replace('-', '+') }}|{{ [3, 1, 2] | sort | join(',') }}|{{ 'abc' | first }}{{ 'abc' | last }}|{{ 'abc' | length }}|{{ [1, 2] | count }}|{{ 'abc' | reverse }}|{{ [1, 2, 3] | reverse | list }}",
    "{{ [1, 2, 3] | sum }} {{ [1, 5, 3] | max }} {{ [4, 2] | min }} {{ -3 | abs }} {{ '42' | int + 1 }} {{ 'x' | int(7) }} {{ '1.5' | float }} {{ 2.567 | round(1) }} {{ 2.5 | round }} {{ 5 | string + 'a' }} {{ [1, 1, 2] | unique | list }}",
    "{{ messages | map(attribute='role') | join(' ') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', 'in', ['user', 'system']) | map(attribute='content') | first | trim }} {{ ['a', ''] | select | list }} {{ [1, 2] | map('string') | join('+') }}",
    "{{ {'b': [1, 2.0, none], 'a': 'é <\"&\\'/>\\n'} | tojson }} {{ [] | tojson }} {{ {} | tojson(indent=2) }}",
    "{{ {'b': [1, {'c': true}], 'a': []} | tojson(indent=2) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }} {{ 'é' | tojson(ensure_ascii=true) }}",
    "{{ {'b': 1, 'a': 2} | dictsort }} {% for k, v in {'b': 1, 'a': 2} | items %}{{ k }}{{ v }}{% endfor %} {{ dict(x=1) }} {{ {'a': 1}.get('b', 'no') }} {{ {'a': 1}.keys() | list }} {{ 'a' in {'a': 1} }}",
    "{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a.b.c'.rsplit('.', 1)[0] }} {{ 'xxaxx'.strip('x') }} {{ '  a'.lstrip() }}| {{ 'a  '.rstrip() }}| {{ 'ab'.startswith('a') }} {{ 'ab'.endswith(('b', 'c')) }} {{ 'aba'.replace('a', 'c', 1) }} {{ 'a'.upper() }} {{ 'hello'.find('l') }} {{ 'hello'.count('l') }} {{ '-'.join(['a', 'b']) }} {{ 'ab'.title() }} {{ 'Ab'.lower() }}",
    "{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a\nb' | indent(2, true) }}",
    "{{ 'a' if false }}|{{ 'a' if false else 'b' }}|{{ 'x' if messages else 'y' }}",
    "{{ raise_exception('a message') }}",
    "{% if %}",
    "{{ 1 +",
    "{% for x in messages %}",
    "{{ 'x' | nofilter }}",
    "{{ ''.__class__ }}",
    "{{ messages.append(1) }}",
    "{{ \"\u00e9\u6708\U0001f318\" | length }} {{ \"\U0001f318a\"[1:] }} {{ \"\U0001f318a\"[0] }}",
    "{%- set x = {'a': {'b': [10, 20]}} -%}{{ x.a.b[1] }}{{ x['a']['b'][-2] }}{{ x.a['b'] | last }}",
    "{% if 1 %}1{% elif 2 %}2{% else %}3{% endif %}{% if '' %}{% elif [] %}{% else %}4{% endif %}\n",
    "x\n",
    "x\n\n",
]

RARE = [
    "a\n  {{ 1 }}\n  {{- 2 }}\n{%+ if true %} b{% endif %}",
    "{% for x in [1, 2, 3] %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {{ loop.cycle('odd', 'even') }};{% endfor %}",
    "{% filter upper %}a{{ 'b' }}{% endfilter %}",
    "{{ '%s is %d' % ('a', 3) }} {{ '{} and {}'.format(1, 'b') }} {{ '%05.1f' | format(3.14159) }}",
    "{% generation %}x{{ 1 }}{% endgeneration %}",
    "{{ 'ß'.upper() }} {{ 'x'.isdigit() }} {{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ '\u00a0 a\u2003'.strip() }}|",
    "{{ [[1, 2], [3]] | map('length') | list }} {{ [1, 2, 3, 4] | batch(2) | list }} {{ [1, 2, 3] | slice(2) | list }}",
    "{{ messages | groupby('role') | length }} {{ 'a' ~ none ~ 1.5 ~ true }}",
    "{% call(x) wrap('t') %}inside {{ x }}{% endcall %}",
    "{% macro wrap(t) %}<{{ t }}>{{ caller(5) }}</{{ t }}>{% endmacro %}{% call(x) wrap('t') %}inside {{ x }}{% endcall %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
]


def render(template, context):
    try:
        messages = context["messages"]
        rest = {key: value for key, value in context.items() if key not in ("messages", "tools")}
        texts, _ = render_jinja_template([messages], tools=context.get("tools"), chat_template=template, **rest)
        return {"text": texts[0]}
    except jinja2.exceptions.TemplateSyntaxError:
        return {"error": True}
    except jinja2.exceptions.TemplateError as error:
        return {"error": error.message if type(error) is jinja2.exceptions.TemplateError else True}
    except (TypeError, ValueError):
        return {"error": True}


def main():
    kinds, cases = [], 0
    for name, kind in KINDS.items():
        tokens = {key: kind[key] for key in ("bos_token", "eos_token") if kind[key] is not None}
        rendered = {}
        for label, conversation in CONVERSATIONS.items():
            rendered[label] = render(kind["template"], {"add_generation_prompt": True, **conversation, **tokens})
            cases += 1
        kinds.append({"name": name, **tokens, "template": kind["template"], "cases": rendered})
    language = [{"template": t, **render(t, {"messages": MESSAGES})} for t in LANGUAGE]
    made_by = f"transformers {transformers.__version__}, Jinja2 {jinja2.__version__}"
    rare = [{"template": t, **render(t, {"messages": MESSAGES})} for t in RARE]
    parts = {"kinds": kinds, "language": language, "rare": rare}
    rows = [f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in parts[key]) + "\n]" for key in parts]
    head = f'{{"madeBy": "{made_by}", "conversations": {json.dumps(CONVERSATIONS, ensure_ascii=False)},\n"languageMessages": {json.dumps(MESSAGES)},\n'
    OUT.write_text(head + ",\n".join(rows) + "\n}\n")
    print(cases, "renderings,", len(language), "of the language,", len(rare), "rare")


main()
