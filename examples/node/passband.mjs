// A running Passband for tests in Node, with nothing but what Node 18 has: start it, play the world, look, stop it.
// Everything below is plain HTTP, so these fifty lines are easily written in any language.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Passband {
  // `callbackUrl` is where the application takes its events. Port 0 is any free one; its first line of output tells which.
  static async start({ callbackUrl, command = process.env.PASSBAND ?? 'passband' }) {
    const child = spawn(command, ['dev', '--port', '0', '--json', '--callback-url', callbackUrl], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const failed = new Promise((_, reject) => {
      child.on('error', reject);
      child.on('exit', (status) => reject(new Error(`${command} ended with ${status} before it was ready`)));
    });
    failed.catch(() => {}); // it ends some day; that is a failure only before it is ready
    const lines = createInterface({ input: child.stdout });
    const ready = new Promise((resolve) => lines.once('line', (line) => resolve(JSON.parse(line))));
    try {
      return new Passband(child, await Promise.race([ready, failed]));
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  constructor(child, { baseUrl, account, numbers }) {
    Object.assign(this, { child, url: baseUrl.replace('/api/v2', ''), baseUrl, account, number: numbers[0] });
  }

  async ask(method, path, body) {
    const answer = await fetch(this.url + path, { method, body: body && JSON.stringify(body) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${said.description}`);
    return said;
  }

  // Wait until `count` messages to this number are over, delivered or failed; the newest first.
  async sent(number, count = 1) {
    const query = new URLSearchParams({ number, count, direction: 'out', state: 'over', wait: 5 });
    return (await this.ask('GET', `/admin/messages?${query}`)).messages;
  }

  // Wait until the application has answered `count` events of this type with 2xx.
  async told(type, count = 1) {
    const query = new URLSearchParams({ type, count, state: 'acknowledged', wait: 5 });
    return (await this.ask('GET', `/admin/callbacks?${query}`)).callbacks;
  }

  receive(from, text) {
    return this.ask('POST', '/admin/inbound', { from, to: this.number, text });
  }

  fault(fault, fields = {}) {
    return this.ask('POST', '/admin/faults', { fault, ...fields });
  }

  mend() {
    return this.ask('DELETE', '/admin/faults');
  }

  advance({ hours = 0, minutes = 0 }) {
    return this.ask('POST', '/admin/clock', { advance: hours * 3600 + minutes * 60 });
  }

  // Between two tests: forget what the last one did.
  async reset() {
    for (const what of ['faults', 'messages', 'handsets']) await this.ask('DELETE', `/admin/${what}`);
  }

  stop() {
    return new Promise((resolve) => {
      this.child.once('exit', resolve);
      this.child.kill();
    });
  }
}
