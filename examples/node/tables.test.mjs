// Run it where `passband` is installed (or name it: PASSBAND=/path/to/passband):
//
//     node --test examples/node/tables.test.mjs

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';

import { Passband } from './passband.mjs';
import { createApp } from './tables.mjs';

const GUEST = '+14085550142';
const app = createApp();
let passband;

before(async () => {
  app.server.listen(0, '127.0.0.1');
  await once(app.server, 'listening');
  passband = await Passband.start({ callbackUrl: `http://127.0.0.1:${app.server.address().port}/events` });
  app.baseUrl = passband.baseUrl;
});

after(async () => {
  await passband?.stop();
  app.server.close();
  app.server.closeAllConnections?.();
});

afterEach(() => passband.reset());

test('a guest is told that the table is ready', async () => {
  await app.ready(GUEST, 4);
  const [message] = await passband.sent(GUEST);
  assert.equal(message.text, 'Table 4 is ready. Reply NO to give it back.');
  assert.equal(message.result, 'delivered');
});

test('a guest gives the table back', async () => {
  await app.ready(GUEST, 4);
  await passband.receive(GUEST, 'no');
  await passband.told('message-received');
  assert.equal(app.tables.get(GUEST), 'given back');
  const [answer] = await passband.sent(GUEST, 2);
  assert.match(answer.text, /Until next time/);
});

test('somebody calls a guest who cannot be reached', async () => {
  await passband.fault('fail', { code: 4720, times: 1 });
  await app.ready(GUEST, 4);
  await passband.told('message-failed');
  assert.equal(app.tables.get(GUEST), 'call the guest: invalid-destination-address');
});

test('an answer that came while we were down arrives when we are back', async () => {
  await passband.fault('endpoint-status', { status: 503 });
  await app.ready(GUEST, 4);
  await passband.receive(GUEST, 'NO');
  await passband.advance({ hours: 2 });
  assert.equal(app.tables.get(GUEST), '4 waits');
  await passband.mend();
  await passband.advance({ hours: 1 });
  await passband.told('message-received');
  assert.equal(app.tables.get(GUEST), 'given back');
});
