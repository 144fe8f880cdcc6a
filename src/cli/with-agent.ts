import { ApiClient, apiSocketPath, stateDirectory } from '../api/index.ts';
import { type CommonOptions, Output } from './output.ts';

/** Runs with a connection to the agent of the state directory, which is closed afterwards. */
export async function withAgent<T>(
  options: CommonOptions,
  work: (client: ApiClient, output: Output) => Promise<T>,
): Promise<T> {
  const client = await ApiClient.connect(apiSocketPath(stateDirectory(options.state)));
  try {
    return await work(client, new Output(options));
  } finally {
    client.close();
  }
}
