import { problemsOfChecks } from '../model/problems.ts';
import { Button, Callout, Empty, Failure, Loading } from '../parts/basics.tsx';
import { ProblemList } from '../parts/problem-list.tsx';
import { useApp, useMessages } from '../state/context.ts';
import { useAnswer } from '../state/use-answer.ts';

/** What is wrong, as a checklist with what to do: of guests and places now, and of this machine. */
export function Problems() {
  const app = useApp();
  const { problems: texts } = useMessages();
  const problems = app.problems.value;
  return (
    <>
      <h1>{texts.title}</h1>
      <section>
        <h2>{texts.now}</h2>
        {problems.length === 0 ? (
          <Empty icon="ok" title={texts.none} help={texts.noneHelp} />
        ) : (
          <ProblemList problems={problems} />
        )}
      </section>
      <section>
        <h2>{texts.machine}</h2>
        <MachineProblems />
      </section>
    </>
  );
}

function MachineProblems() {
  const { problems: texts } = useMessages();
  const [answer, again] = useAnswer('agent.doctor', {});
  switch (answer.kind) {
    case 'loading':
      return <Loading text={texts.examining} />;
    case 'error':
      return <Failure error={answer.error} onAgain={() => again()} />;
    case 'ok': {
      const problems = problemsOfChecks(answer.value.checks);
      return (
        <>
          {problems.length === 0 ? (
            <Callout tone="safe">
              <p>{texts.machineOk}</p>
            </Callout>
          ) : (
            <ProblemList problems={problems} />
          )}
          <div class="row">
            <Button onClick={() => again({})}>{texts.examine}</Button>
            <Button onClick={() => again({ again: true })}>{texts.prove}</Button>
          </div>
        </>
      );
    }
  }
}
