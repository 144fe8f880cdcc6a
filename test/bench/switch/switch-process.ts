/** A switch with two stream ports in a process of its own:   node switch-process.ts SOCKET1 SOCKET2 FLOWS */
import { StreamPort, Switch } from '../../../src/switch/index.ts';
import { flowTo } from './traffic.ts';

const [first = '', second = '', flows = ''] = process.argv.slice(2);
const owner = new Switch(() => {});
for (const [index, socketPath] of [first, second].entries()) {
  const port = new StreamPort({ number: index + 1, socketPath, mtu: 65_535, owner });
  owner.attach(port);
  await port.listen();
}
for (let n = 0; n < Number(flows); n++) owner.addFlow(flowTo(n));
console.log('ready');
