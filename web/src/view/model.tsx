import type { ModelInfo } from "../engine/protocol.js";
import type { Actions, Words } from "./props.js";

interface ModelProps extends Words {
  readonly model: ModelInfo;
  readonly locked: boolean;
  readonly actions: Actions;
}

/** What the model is. */
export function ModelView({ model, locked, actions, t, f }: ModelProps) {
  const size = f.bytes(model.byteLength);
  const facts: readonly (readonly [string, string])[] = [
    [t.architecture, model.architecture],
    [t.parameters, f.count(model.parameters)],
    [t.size, model.toFetch > 0 ? t.hubSize(size) : size],
    [t.storedAs, model.types.slice(0, 3).join(", ")],
    [t.layers, f.decimal(model.layers, 0)],
    [t.contextLength, t.tokens(f.decimal(model.contextLength, 0))],
    [t.vocabulary, t.tokens(f.decimal(model.vocabulary, 0))],
  ];
  return (
    <section class="card model" aria-labelledby="model">
      <div class="head">
        <div>
          <p class="eyebrow">{t.modelTitle}</p>
          <h1 id="model" class="title" tabIndex={-1} data-arrival="planned">
            {model.name}
          </h1>
        </div>
        <button type="button" disabled={locked} onClick={() => actions.reset()}>
          {t.another}
        </button>
      </div>
      <dl class="figures">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
