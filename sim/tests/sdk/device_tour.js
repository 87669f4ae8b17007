// Every call of the unmodified Node device SDK at a hub.
//
// Reads one JSON object of settings from the command line: devices with keys and a module of each, each for one
// transport, and a device and a module with a certificate. Prints one JSON object a line: "ready" once the hub may act on
// a device or a module, "restart" when the server has to stop and start, "back" and "again" when it may act on a client that has
// connected again, "done" with what was seen.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const https = require('https');
const { Readable } = require('stream');
const sdk = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');

const { Queue, called, create, outcomes, refused } = require('./device_client');
const { watched } = require('./hub_client');

// What the clients have for other transports.
const NOT_IN_MQTT = {
  Client: (message) => [['sendEventBatch', [message]], ['reject', message], ['abandon', message]],
  ModuleClient: (message) => [...NOT_IN_MQTT.Client(message), ['sendOutputEventBatch', 'alerts', [message]]],
};
const RETRY = { shouldRetry: () => true, nextRetryTimeout: () => 500 };

function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

function telemetry(text) {
  const message = new sdk.Message(JSON.stringify({ text }));
  message.messageId = 'order-1';
  message.correlationId = 'batch-7';
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.properties.add('room', 'a b&c=d/é');
  return message;
}

// The names of the calls of `blink`, each of which is answered.
function calledMethods(client, kind) {
  const methods = new Queue();
  const listen = kind === 'Client' ? 'onDeviceMethod' : 'onMethod';
  client[listen]('blink', (request, response) => {
    response.send(200, { name: request.methodName, echo: request.payload }, () => methods.push(request.methodName));
  });
  return methods;
}

// The changes of desired properties.
async function desiredPatches(client) {
  const twin = watched('Twin', await client.getTwin());
  const patches = new Queue();
  twin.on('properties.desired', patches.push);
  await called('Twin', twin, 'enableTwinDesiredPropertiesUpdates');
  return { twin, patches };
}

// What a device or a module and its hub say to each other before the restart.
async function work(name, kind, client) {
  client.setRetryPolicy(RETRY);
  await client.open();
  const messages = new Queue();
  if (kind === 'Client') client.on('message', messages.push);
  const methods = calledMethods(client, kind);
  const { twin, patches } = await desiredPatches(client);
  twin.setRetryPolicy(RETRY);
  await client.sendEvent(telemetry(name));
  await new Promise((resolve, reject) => {
    twin.properties.reported.update({ firmware: '1.2.3' }, (error) => (error ? reject(error) : resolve()));
  });
  const read = await twin.get();
  if (read.properties.reported.firmware !== '1.2.3') throw new Error(JSON.stringify(read.properties));
  say({ event: 'ready', name });
  const { interval } = await patches.take((patch) => 'interval' in patch);
  const seen = { interval, method: await methods.take() };
  if (kind === 'Client') Object.assign(seen, await deviceMore(client, messages));
  return { name, client, methods, patches, seen };
}

function put(url, data) {
  const options = { method: 'PUT', headers: { 'x-ms-blob-type': 'BlockBlob', 'content-length': data.length } };
  return new Promise((resolve, reject) => {
    https.request(url, options, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    }).on('error', reject).end(data);
  });
}

// What devices do, and modules do not: cloud-to-device messages and file uploads.
async function deviceMore(client, messages) {
  const received = await messages.take();
  await client.complete(received);
  await client.uploadToBlob('notes/stream.txt', Readable.from([Buffer.from('by stream')]), 9);
  const storage = await client.getBlobSharedAccessSignature('notes/a.txt');
  const { hostName, containerName, blobName, sasToken } = storage;
  const status = await put(`https://${hostName}/${containerName}/${blobName}${sasToken}`, Buffer.from('hello'));
  await client.notifyBlobUploadStatus(storage.correlationId, true, 201, 'written');
  const properties = Object.fromEntries(received.properties.propertyList.map(({ key, value }) => [key, value]));
  return {
    message: {
      data: received.data.toString(), id: received.messageId, contentType: received.contentType, properties,
    },
    blob: [blobName, status],
  };
}

// After the server was gone, the SDK connects by itself, and calls and patches arrive.
async function afterRestart({ name, client, methods, patches, seen }) {
  say({ event: 'back', name });
  seen.back = await methods.take();
  say({ event: 'again', name });
  seen.again = (await patches.take((patch) => patch.interval === 8)).interval;
  await client.close();
}

function token(host, path, key, seconds) {
  const resource = encodeURIComponent(`${host}/devices/${path}`);
  const expiry = Math.floor(Date.now() / 1000) + seconds;
  const hmac = crypto.createHmac('sha256', Buffer.from(key, 'base64'));
  const hash = hmac.update(`${resource}\n${expiry}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(hash)}&se=${expiry}`;
}

// A client with a token of its owner, and then with the next one.
async function renewing(settings, ca, kind, path) {
  const { host, spare } = settings;
  const name = path.replace('/modules/', '/');
  const client = create(kind, 'fromSharedAccessSignature', token(host, path, spare.key, 60), Mqtt);
  await client.setOptions({ ca });
  await client.open();
  await called(kind, client, 'updateSharedAccessSignature', token(host, path, spare.key, 3600));
  const methods = calledMethods(client, kind);
  const { patches } = await desiredPatches(client);
  say({ event: 'ready', name });
  const { interval } = await patches.take((patch) => 'interval' in patch);
  const seen = { interval, method: await methods.take() };
  await client.close();
  return seen;
}

// The other ways to make a client, and what its transports do not have.
async function extra(settings, ca, seen) {
  const { host, spare: { deviceId, moduleId, key } } = settings;
  for (const [kind, path] of [['Client', deviceId], ['ModuleClient', `${deviceId}/modules/${moduleId}`]]) {
    seen[`${path.replace('/modules/', '/')} with a token`] = await renewing(settings, ca, kind, path);
  }
  const names = { Client: `DeviceId=${deviceId}`, ModuleClient: `DeviceId=${deviceId};ModuleId=${moduleId}` };
  for (const [kind, ids] of Object.entries(names)) {
    const string = `HostName=${host};${ids};SharedAccessKey=${key}`;
    const provider = sdk.SharedAccessKeyAuthenticationProvider.fromConnectionString(string);
    const client = create(kind, 'fromAuthenticationProvider', provider, Mqtt);
    client.setRetryPolicy({ ...RETRY, shouldRetry: () => false });
    await client.setOptions({ ca });
    await client.setTransportOptions({ interval: 1 });
    await client.sendEvent(telemetry('by a provider'));
    const message = telemetry('none');
    for (const [method, ...given] of NOT_IN_MQTT[kind](message)) {
      seen[`${kind}.${method}`] = await refused(kind, client, method, ...given);
    }
    await client.complete(message);
    await client.close();
  }
  seen.invoke = await fromEnvironment(settings);
}

// What a module finds in its environment when it is run outside of the device runtime.
async function fromEnvironment({ host, serverCa, spare: { deviceId, moduleId, key } }) {
  const hosts = `HostName=${host};GatewayHostName=${host}`;
  process.env.EdgeHubConnectionString = `${hosts};DeviceId=${deviceId};ModuleId=${moduleId};SharedAccessKey=${key}`;
  process.env.EdgeModuleCACertificateFile = serverCa;
  const client = watched('ModuleClient', await create('ModuleClient', 'fromEnvironment', Mqtt));
  await client.open();
  await client.sendOutputEvent('alerts', telemetry('output'));
  const call = { methodName: 'blink', payload: 1, connectTimeoutInSeconds: 5, responseTimeoutInSeconds: 5 };
  const answer = await refused('ModuleClient', client, 'invokeMethod', deviceId, moduleId, call);
  await client.close();
  create('ModuleClient', 'validateEnvironment');
  return answer;
}

function transport(entry) {
  return entry.transport === 'websocket' ? MqttWs : Mqtt;
}

async function keyed(host, ca, entry, ids) {
  const kind = ids.includes('ModuleId') ? 'ModuleClient' : 'Client';
  const string = `HostName=${host};${ids};SharedAccessKey=${entry.key}`;
  const client = create(kind, 'fromConnectionString', string, transport(entry));
  await client.setOptions({ ca });
  return client;
}

async function pinned(host, ca, entry) {
  const x509 = { cert: fs.readFileSync(entry.certificate, 'utf8'), key: fs.readFileSync(entry.key, 'utf8') };
  const { deviceId, moduleId } = entry;
  const kind = moduleId ? 'ModuleClient' : 'Client';
  const provider = new sdk.X509AuthenticationProvider({ host, deviceId, moduleId, x509 });
  const client = create(kind, 'fromAuthenticationProvider', provider, transport(entry));
  await client.setOptions({ ca, ...x509 });
  return { kind, client, name: moduleId ? `${deviceId}/${moduleId}` : deviceId };
}

async function main(settings) {
  const { host } = settings;
  const ca = fs.readFileSync(settings.serverCa, 'utf8');
  const tours = [];
  for (const entry of settings.devices) {
    const { deviceId, moduleId } = entry;
    tours.push(work(deviceId, 'Client', await keyed(host, ca, entry, `DeviceId=${deviceId}`)));
    const module = await keyed(host, ca, entry, `DeviceId=${deviceId};ModuleId=${moduleId}`);
    tours.push(work(`${deviceId}/${moduleId}`, 'ModuleClient', module));
  }
  for (const entry of settings.pinned) {
    const { name, kind, client } = await pinned(host, ca, entry);
    tours.push(work(name, kind, client));
  }
  const connected = await Promise.all(tours);
  const seen = {};
  await extra(settings, ca, seen);
  say({ event: 'restart' });
  await Promise.all(connected.map(afterRestart));
  for (const tour of connected) seen[tour.name] = tour.seen;
  say({ event: 'done', seen, calls: outcomes() });
  process.stdout.write('', () => process.exit(0));
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error.stack, error.responseBody ?? '');
  process.exit(1);
});
