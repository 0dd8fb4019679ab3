// Tables: guests are told that their table is ready, and give it back by writing NO.

import http from 'node:http';

const APPLICATION = 'b7c4d2f0-5c1e-4a53-9d0e-3f6a8e2b1c74';

export function createApp({ account = '5500123', number = '+19195550117', user = 'demo', password = 'demo' } = {}) {
  const tables = new Map(); // by the guest's number; a real application has a database
  const known = new Set();
  const app = { tables, baseUrl: 'http://127.0.0.1:8080/api/v2' };

  app.text = async (to, text, tag) => {
    const answer = await fetch(`${app.baseUrl}/users/${account}/messages`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ applicationId: APPLICATION, from: number, to: [to], text, tag }),
    });
    if (answer.status !== 202) throw new Error(`not accepted: ${answer.status} ${await answer.text()}`);
  };

  app.ready = async (guest, table) => {
    tables.set(guest, `${table} waits`);
    await app.text(guest, `Table ${table} is ready. Reply NO to give it back.`, 'ready');
  };

  async function take(event) {
    const key = [event.message.id, event.type, event.to].join();
    if (known.has(key)) return; // an event may come twice
    known.add(key);
    const guest = event.message.from;
    if (event.type === 'message-failed' && event.message.tag === 'ready') {
      tables.set(event.to, `call the guest: ${event.description}`);
    } else if (event.type === 'message-received' && event.message.text.trim().toUpperCase() === 'NO') {
      tables.set(guest, 'given back');
      await app.text(guest, 'Thank you. Until next time!', 'answer');
    }
  }

  app.server = http.createServer(async (request, response) => {
    try {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      for (const event of JSON.parse(Buffer.concat(pieces))) await take(event);
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(500).end(String(error)); // the event comes again
    }
  });
  return app;
}
