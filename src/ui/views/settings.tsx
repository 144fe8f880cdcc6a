import { useState } from 'preact/hooks';
import type { Status } from '../../api/schema.ts';
import { isLanguage, languages } from '../messages/index.ts';
import { formatFingerprint } from '../model/format.ts';
import { Button, Check, Facts, Failure, Field, Loading } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { themes } from '../state/preferences.ts';
import { useAnswer } from '../state/use-answer.ts';
import { Confirm } from './guest-dialogs.tsx';

export function Settings({ status }: { readonly status: Status }) {
  const { settings: texts } = useMessages();
  return (
    <>
      <h1>{texts.title}</h1>
      <Appearance />
      <Conditions />
      <Agent status={status} />
    </>
  );
}

function Appearance() {
  const app = useApp();
  const { settings: texts } = useMessages();
  const { language, theme } = app.preferences.value;
  return (
    <section>
      <h2>{texts.look}</h2>
      <Field label={texts.language}>
        {(id) => (
          <select
            id={id}
            value={language}
            onChange={({ currentTarget: { value } }) => {
              if (isLanguage(value)) app.prefer({ language: value });
            }}
          >
            {Object.entries(languages).map(([code, { languageName }]) => (
              <option key={code} value={code} lang={code}>
                {languageName}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={texts.theme}>
        {(id) => (
          <select
            id={id}
            value={theme}
            onChange={({ currentTarget: { value } }) => {
              const chosen = themes.find((one) => one === value);
              if (chosen !== undefined) app.prefer({ theme: chosen });
            }}
          >
            {themes.map((one) => (
              <option key={one} value={one}>
                {texts.themes[one]}
              </option>
            ))}
          </select>
        )}
      </Field>
    </section>
  );
}

const CONDITIONS = 'conditions';

function Conditions() {
  const app = useApp();
  const { settings: texts } = useMessages();
  const [answer, again] = useAnswer('agent.conditions', {});
  const error = app.failures.value.get(CONDITIONS);
  const change = async (changed: { metered?: boolean; onBattery?: boolean }) => {
    await app.ask(CONDITIONS, 'other', 'agent.conditions', changed);
    again();
  };
  return (
    <section>
      <h2>{texts.conditions}</h2>
      <p class="muted">{texts.conditionsHelp}</p>
      {answer.kind === 'loading' && <Loading />}
      {answer.kind === 'error' && <Failure error={answer.error} onAgain={() => again()} />}
      {answer.kind === 'ok' && (
        <>
          <Check
            label={texts.metered}
            checked={answer.value.metered}
            onChange={(metered) => void change({ metered })}
          />
          <Check
            label={texts.battery}
            checked={answer.value.onBattery}
            onChange={(onBattery) => void change({ onBattery })}
          />
        </>
      )}
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(CONDITIONS)} />}
    </section>
  );
}

const STOP = 'agent.stop';

function Agent({ status }: { readonly status: Status }) {
  const app = useApp();
  const { settings: texts, confirm, places } = useMessages();
  const { time } = useFormats();
  const [asking, setAsking] = useState(false);
  const { agent, datapath, guests } = status;
  const error = app.failures.value.get(STOP);
  const running = guests.filter(({ state }) => state.kind === 'running').length;
  const drops = datapath.running ? Object.entries(datapath.drops) : [];
  const dropped = drops.filter(([, count]) => count > 0);
  return (
    <section>
      <h2>{texts.agent}</h2>
      <Facts
        facts={[
          [texts.place, <span class="name">{agent.place.name}</span>],
          [texts.fingerprint, <code>{formatFingerprint(agent.place.id)}</code>],
          [texts.profile, places.profiles[agent.profile]],
          [texts.version, agent.version],
          [texts.process, agent.pid],
          [texts.started, time(agent.startedAt)],
          [texts.qemu, agent.qemu === null ? texts.noQemu : agent.qemu.version],
          [texts.accelerator, agent.accelerator?.accelerator ?? null],
          [
            texts.listens,
            agent.listen === null
              ? texts.nowhere
              : `${agent.listen.host}: ${agent.listen.port}, ${agent.listen.tunnelPort}`,
          ],
          [texts.datapath, datapath.running ? texts.running : texts.notRunning(datapath.reason)],
          ...(dropped.length === 0
            ? []
            : ([
                [texts.dropped, dropped.map(([why, count]) => `${why} ${count}`).join(', ')],
              ] as const)),
          [texts.state, <code>{agent.stateDirectory}</code>],
        ]}
      />
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(STOP)} />}
      <div class="row">
        <Button look="danger" busy={app.doing.value.has(STOP)} onClick={() => setAsking(true)}>
          {texts.stop}
        </Button>
      </div>
      {asking && (
        <Confirm
          title={confirm.stopAgentTitle}
          help={confirm.stopAgentHelp(running)}
          action={confirm.stopAgentAction}
          onConfirm={() => void app.ask(STOP, 'stop', 'agent.stop', { guests: 'keep' })}
          onClose={() => setAsking(false)}
        />
      )}
    </section>
  );
}
