/** `node relay.ts HOST PORT PATH`: what nobody should do, an open port to a guest's display; in the bench's own network. */
import { connect, createServer } from 'node:net';

const [host = '', port = '', path = ''] = process.argv.slice(2);
createServer((socket) => {
  const display = connect(path);
  socket.setNoDelay(true);
  for (const end of [socket, display])
    end.on('error', () => {
      socket.destroy();
      display.destroy();
    });
  socket.pipe(display);
  display.pipe(socket);
}).listen(Number(port), host, () => process.stdout.write('listening\n'));
