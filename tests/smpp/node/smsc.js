// An SMSC made of the npm package smpp: accepts, sends a receipt, and a message when told to on its standard input.
// What it is told and what happens are lines of JSON.
const readline = require('readline');
const smpp = require(process.env.SMPP_MODULE);

const sessions = [];
let next = 1;
let throttled = 0;
const tell = (event) => console.log(JSON.stringify(event));

function accept(session) {
  sessions.push(session);
  session.on('bind_transceiver', (pdu) => {
    if (pdu.password !== 's3cret08') {
      session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
      return;
    }
    session.send(pdu.response({ system_id: 'node' }));
    tell({ event: 'bound', systemId: pdu.system_id });
  });
  session.on('submit_sm', (pdu) => {
    if (throttled > 0) {
      throttled -= 1;
      session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
      tell({ event: 'throttled' });
      return;
    }
    const id = (next++).toString(16).padStart(8, '0');
    session.send(pdu.response({ message_id: id }));
    const message = pdu.short_message || pdu.message_payload;
    tell({
      event: 'submit',
      to: pdu.destination_addr,
      from: pdu.source_addr,
      coding: pdu.data_coding,
      text: typeof message.message === 'string' ? message.message : '',
      udh: message.udh ? Buffer.concat(message.udh.map((e) => Buffer.from(e))).toString('hex') : '',
    });
    session.deliver_sm({
      source_addr_ton: 1, source_addr_npi: 1, source_addr: pdu.destination_addr,
      dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: pdu.source_addr,
      esm_class: 4,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2603140159 done date:2603140200 stat:DELIVRD err:000 text:`,
    }, (response) => tell({ event: 'acknowledged', status: response.command_status }));
  });
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    tell({ event: 'unbound' });
    session.close();
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('error', () => {});
}

const options = process.env.SMPP_TLS
  ? { key: require('fs').readFileSync(process.env.SMPP_TLS), cert: require('fs').readFileSync(process.env.SMPP_TLS) }
  : {};
const server = smpp.createServer(options, accept);
const listener = server.listen(0, '127.0.0.1', () => tell({ event: 'listening', port: server.address().port }));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const told = JSON.parse(line);
  if (told.throttle !== undefined) {
    throttled = told.throttle;
  } else if (told.unbind) {
    sessions[sessions.length - 1].unbind();
  } else {
    sessions[sessions.length - 1].deliver_sm({
      source_addr_ton: 1, source_addr_npi: 1, source_addr: told.from,
      dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: told.to,
      data_coding: told.coding, short_message: { udh: Buffer.from(told.udh || '', 'hex'), message: told.text },
    }, (response) => tell({ event: 'acknowledged', status: response.command_status }));
  }
});
process.stdin.on('close', () => process.exit(0));
