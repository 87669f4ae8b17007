// Every call of the unmodified Node service SDK of the hub, azure-iothub.
//
// Reads one JSON object of settings from the command line and prints one JSON object: what the SDK gave back, step by step,
// and for each method of its classes whether it was called and answered. A device and its module, on the device SDK, answer
// direct methods meanwhile.
'use strict';

const fs = require('fs');
const device_sdk = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const sdk = require('azure-iothub');

const { body, calls, connect, outcomes, refusal, watched } = require('./hub_client');
const { callsOfMethods, configurations, digitalTwins, jobs, transfers } = require('./hub_operations');
const { KEYS, bulk, devices, modules, queries, sas, twins } = require('./hub_registry');

const DEVICE = 'press-1';
const MODULE = 'camera';

// A connected device or module that echoes the payload of every method.
async function answering(kind, listen, settings, names) {
  const string = `HostName=${settings.host};${names};SharedAccessKey=${KEYS[0]}`;
  const client = kind.fromConnectionString(string, Mqtt);
  await client.setOptions({ ca: fs.readFileSync(settings.serverCa, 'utf8') });
  await client.open();
  for (const method of ['blink', 'thermostat1*reset']) {
    client[listen](method, (request, response) => {
      response.send(200, { name: request.methodName, echo: request.payload }, () => {});
    });
  }
  return client;
}

// Clients with a token of Microsoft Entra ID, and with one of a policy.
async function credentials(settings) {
  const credential = { getToken: async () => ({ token: 'of somebody else', expiresOnTimestamp: Date.now() + 3600000 }) };
  const policy = sdk.ConnectionString.parse(settings.connectionString);
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const signature = sdk.SharedAccessSignature.create(settings.host, policy.SharedAccessKeyName, policy.SharedAccessKey, expiry);
  const asks = {
    Registry: (client) => body(client.get(DEVICE)).then((device) => device.deviceId),
    JobClient: (client) => client.getJob('update').then((job) => job.jobStatus.jobId),
    Client: (client) => client.invokeDeviceMethod(DEVICE, { methodName: 'blink' }).then((answer) => answer.result.payload),
  };
  const seen = {};
  for (const [name, ask] of Object.entries(asks)) {
    seen[name] = {
      token: await refusal(ask(sdk[name].fromTokenCredential(settings.host, credential))),
      signature: await ask(sdk[name].fromSharedAccessSignature(signature)),
    };
    calls[`${name}.fromTokenCredential`] = 'refused';
    calls[`${name}.fromSharedAccessSignature`] = 'answered';
  }
  return seen;
}

async function main(settings) {
  const registry = connect('Registry', settings.connectionString);
  const client = connect('Client', settings.connectionString);
  client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
  const scheduler = connect('JobClient', settings.connectionString);
  const digital = watched('DigitalTwinClient', new sdk.DigitalTwinClient(
    new sdk.IoTHubTokenCredentials(settings.connectionString)));
  await registry.create({ deviceId: DEVICE, authentication: sas(KEYS) });
  await registry.addModule({ deviceId: DEVICE, moduleId: MODULE, authentication: sas(KEYS) });
  const answers = [
    await answering(device_sdk.Client, 'onDeviceMethod', settings, `DeviceId=${DEVICE}`),
    await answering(device_sdk.ModuleClient, 'onMethod', settings, `DeviceId=${DEVICE};ModuleId=${MODULE}`),
  ];
  const report = {
    devices: await devices(registry),
    modules: await modules(registry),
    bulk: await bulk(registry),
    twins: await twins(registry, DEVICE, MODULE),
    queries: await queries(registry),
    methods: await callsOfMethods(client, DEVICE, MODULE),
    configurations: await configurations(registry, DEVICE),
    digitalTwins: await digitalTwins(digital, DEVICE),
    jobs: await jobs(scheduler, registry, DEVICE),
    transfers: await transfers(registry, settings.host),
    credentials: await credentials(settings),
  };
  report.calls = outcomes();
  for (const answer of answers) await answer.close();
  process.stdout.write(JSON.stringify(report) + '\n', () => process.exit(0));
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error.stack, error.responseBody ?? '');
  process.exit(1);
});
