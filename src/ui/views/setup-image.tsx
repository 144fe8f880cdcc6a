import { useEffect, useRef, useState } from 'preact/hooks';
import type { CallItem, ImageView } from '../../api/schema.ts';
import { Button, Failure, Field, Loading, Meter } from '../parts/basics.tsx';
import { useApp, useFormats, useMessages } from '../state/context.ts';
import { useAnswer } from '../state/use-answer.ts';

const SUBJECT = 'image';

interface ImageStepProps {
  readonly chosen: ImageView | undefined;
  readonly onChoose: (image: ImageView) => void;
}

/** One of the images in the store, or one that is imported now. */
export function ImageStep({ chosen, onChoose }: ImageStepProps) {
  const { setup: texts } = useMessages();
  const { bytes } = useFormats();
  const [answer, again] = useAnswer('image.list', {});
  if (answer.kind === 'loading') return <Loading />;
  if (answer.kind === 'error') return <Failure error={answer.error} onAgain={() => again()} />;
  const disk = (image: ImageView) =>
    bytes(image.disks.reduce((sum, { virtualBytes }) => sum + virtualBytes, 0));
  return (
    <>
      <p class="muted">{texts.imageHelp}</p>
      {answer.value.length === 0 && <p>{texts.imageNone}</p>}
      <fieldset class="choices">
        <legend class="visually-hidden">{texts.imageChoose}</legend>
        {answer.value.map((image) => (
          <label key={image.name} class="choice">
            <input
              type="radio"
              name="image"
              checked={image.name === chosen?.name}
              onChange={() => onChoose(image)}
            />
            <span class="grow">
              <strong class="name">{image.name}</strong>
              <small class="muted">
                {image.architecture} · {texts.imageSize(bytes(image.bytes), disk(image))}
              </small>
            </span>
          </label>
        ))}
      </fieldset>
      <ImportForm
        onImported={(image) => {
          onChoose(image);
          again();
        }}
      />
    </>
  );
}

type Progress = CallItem<'image.import'>;

function ImportForm({ onImported }: { readonly onImported: (image: ImageView) => void }) {
  const app = useApp();
  const { setup: texts, common } = useMessages();
  const { bytes } = useFormats();
  const [path, setPath] = useState('');
  const [progress, setProgress] = useState<Progress>();
  const stop = useRef<(() => void) | null>(null);
  const { pickPath } = app.shell;
  const error = app.failures.value.get(SUBJECT);
  const busy = progress !== undefined;
  useEffect(() => () => stop.current?.(), []);

  const begin = () => {
    app.dismiss(SUBJECT);
    setProgress({ bytesDone: 0, bytesTotal: null });
    stop.current = app.transport.subscribe('image.import', { path: path.trim() }, (event) => {
      if (event.kind === 'item') {
        setProgress(event.item);
        return;
      }
      setProgress(undefined);
      stop.current = null;
      if (event.kind === 'end') onImported(event.result);
      else app.show(SUBJECT, event.error);
    });
  };
  const cancel = () => {
    stop.current?.();
    stop.current = null;
    setProgress(undefined);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) begin();
      }}
    >
      <h3>{texts.imageImport}</h3>
      <Field label={texts.imagePath}>
        {(id) => (
          <input
            id={id}
            required
            pattern="/.*"
            autocomplete="off"
            spellcheck={false}
            value={path}
            onInput={(event) => setPath(event.currentTarget.value)}
          />
        )}
      </Field>
      {progress !== undefined && (
        <div class="field">
          <span role="status">
            {texts.imageBusy(
              bytes(progress.bytesDone),
              progress.bytesTotal === null ? null : bytes(progress.bytesTotal),
            )}
          </span>
          <Meter
            label={texts.imageImport}
            percent={
              progress.bytesTotal === null || progress.bytesTotal === 0
                ? null
                : (100 * progress.bytesDone) / progress.bytesTotal
            }
          />
        </div>
      )}
      {error !== undefined && <Failure error={error} onDismiss={() => app.dismiss(SUBJECT)} />}
      <div class="row">
        {pickPath !== undefined && (
          <Button onClick={() => void pickPath().then((picked) => setPath(picked ?? path))}>
            {texts.imageBrowse}
          </Button>
        )}
        <Button type="submit" busy={busy}>
          {texts.imageAction}
        </Button>
        {busy && <Button onClick={cancel}>{common.cancel}</Button>}
      </div>
    </form>
  );
}
