// A device with a TPM, by the unmodified Node SDK over HTTP; then its hub, over MQTT, with tokens signed inside the TPM.
//
// Reads one JSON object of settings from the command line. Prints one JSON object: "done" with where it is, or "failed".
'use strict';

const fs = require('fs');
const net = require('net');
const tss = require('tss.js');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { TpmAuthenticationProvider, TpmSecurityClient } = require('azure-iot-security-tpm');

function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

// What tss.js calls a device: raw commands to swtpm and raw responses back, one at a time.
class Swtpm {
  constructor(host, port) {
    Object.assign(this, { host, port, response: Buffer.alloc(0), continuation: null });
  }

  connect(continuation) {
    this.socket = net.connect(this.port, this.host, () => continuation(null));
    this.socket.on('data', (data) => this.receive(data));
    return null;
  }

  dispatchCommand(command, continuation) {
    Object.assign(this, { response: Buffer.alloc(0), continuation });
    this.socket.write(command);
  }

  // Tag, size, code: the size counts all of it.
  receive(data) {
    this.response = Buffer.concat([this.response, data]);
    const { response, continuation } = this;
    if (response.length >= 6 && response.length >= response.readUInt32BE(2)) setImmediate(continuation, null, response);
  }

  close() {
    this.socket.end();
  }
}

function called(start) {
  return new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));
}

async function main(settings) {
  const tpm = new tss.Tpm(false);
  tpm.device = new Swtpm(settings.tpmHost, settings.tpmPort);
  const security = new TpmSecurityClient(settings.registrationId, tpm);
  const provisioning = ProvisioningDeviceClient.create(settings.host, settings.idScope, new Http(), security);
  const { registrationState: state } = await provisioning.register();
  const provider = TpmAuthenticationProvider.fromTpmSecurityClient(state.deviceId, state.assignedHub, security);
  const client = Client.fromAuthenticationProvider(provider, Mqtt);
  await client.setOptions({ ca: fs.readFileSync(settings.serverCa, 'utf8') });
  await client.open();
  const twin = await client.getTwin();
  await called((then) => twin.properties.reported.update({ firmware: '1.2.3' }, then));
  await client.sendEvent(new Message(JSON.stringify({ temperature: 21 })));
  say({ event: 'done', deviceId: state.deviceId, assignedHub: state.assignedHub });
  await client.close();
  tpm.device.close();
}

main(JSON.parse(process.argv[2])).catch((error) => {
  say({ event: 'failed', error: String(error && error.stack || error) });
  process.exitCode = 1;
});
