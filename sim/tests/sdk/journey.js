// The whole journey of devices with the unmodified Node device SDKs, all of them at once in this one process.
//
// Reads one JSON object of settings from the command line. Each device provisions over MQTT, WebSocket or HTTP, connects to
// the assigned hub, and does what devices do. Prints one JSON object a line: "ready" once the hub may act on the device,
// "done" with what was seen, "refused" when it may not register.
'use strict';

const fs = require('fs');
const { Client, Message } = require('azure-iot-device');
const hub = require('azure-iot-device-mqtt');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { Mqtt, MqttWs } = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');

function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

function provisioningTransport(name) {
  switch (name) {
    case 'mqtt': return new Mqtt();
    case 'websocket': return new MqttWs();
    case 'http': return new Http();
    default: throw new Error(`no such transport: ${name}`);
  }
}

function pem(device) {
  return { cert: fs.readFileSync(device.certificate, 'utf8'), key: fs.readFileSync(device.key, 'utf8') };
}

async function register(settings, device) {
  const security = device.symmetricKey
    ? new SymmetricKeySecurityClient(device.registrationId, device.symmetricKey)
    : new X509Security(device.registrationId, pem(device));
  const transport = provisioningTransport(device.transport);
  const client = ProvisioningDeviceClient.create(settings.host, settings.idScope, transport, security);
  if (device.payload !== undefined) client.setProvisioningPayload(device.payload);
  return client.register();
}

async function connect(settings, device, state) {
  const credential = device.symmetricKey ? `SharedAccessKey=${device.symmetricKey}` : 'x509=true';
  const connection = `HostName=${state.assignedHub};DeviceId=${state.deviceId};${credential}`;
  const transport = device.transport === 'websocket' ? hub.MqttWs : hub.Mqtt;
  const client = Client.fromConnectionString(connection, transport);
  const options = { ca: fs.readFileSync(settings.serverCa, 'utf8') };
  await client.setOptions(device.symmetricKey ? options : { ...options, ...pem(device) });
  await client.open();
  return client;
}

// Resolves with the value of the first call of the function that it hands to `listen`.
function first(listen) {
  return new Promise((resolve) => listen(resolve));
}

async function journey(settings, device) {
  const name = device.registrationId;
  let state;
  try {
    state = await register(settings, device);
  } catch (error) {
    say({ event: 'refused', registrationId: name, error: error.name, message: String(error.message) });
    return;
  }
  const client = await connect(settings, device, state);
  const method = first((resolve) => client.onDeviceMethod('blink', (request, response) => {
    response.send(200, { echo: request.payload }, () => resolve(request.methodName));
  }));
  const twin = await client.getTwin();
  const patch = first((resolve) => twin.on('properties.desired', (delta) => {
    // The SDK hands over the whole desired section once, as if it were a patch.
    if ('interval' in delta) resolve(delta);
  }));
  const message = new Message(JSON.stringify({ temperature: 21.5 }));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.properties.add('room', 'a b&c=d/é');
  await client.sendEvent(message);
  await new Promise((resolve, reject) => {
    twin.properties.reported.update({ firmware: '1.2.3' }, (error) => (error ? reject(error) : resolve()));
  });
  say({ event: 'ready', registrationId: name, state });
  const seen = { patch: await patch, method: await method };
  const after = await client.getTwin();
  const { desired, reported } = JSON.parse(JSON.stringify(after.properties));
  await client.close();
  say({ event: 'done', registrationId: name, ...seen, after: { desired, reported } });
}

const settings = JSON.parse(process.argv[2]);
Promise.all(settings.devices.map((device) => journey(settings, device))).catch((error) => {
  console.error(error.stack, error.responseBody ?? '');
  process.exit(1);
});
