// What a hub does to devices: methods, configurations, digital twins, jobs.
'use strict';

const { body, refusal, until, watched } = require('./hub_client');
const { KEYS, sas } = require('./hub_registry');

async function callsOfMethods(client, device, module) {
  const request = { methodName: 'blink', payload: { n: 3 }, responseTimeoutInSeconds: 30, connectTimeoutInSeconds: 5 };
  const offline = { methodName: 'blink', responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 0 };
  return {
    device: (await client.invokeDeviceMethod(device, request)).result,
    module: (await client.invokeDeviceMethod(device, module, request)).result,
    offline: await refusal(client.invokeDeviceMethod('sas', offline)),
  };
}

// The least that a deployment says.
function deployment() {
  const agent = { type: 'docker', settings: { image: 'agent:1', createOptions: '{}' } };
  const hub = { type: 'docker', status: 'running', restartPolicy: 'always', settings: { image: 'hub:1', createOptions: '{}' } };
  const desired = {
    schemaVersion: '1.1', runtime: { type: 'docker', settings: {} },
    systemModules: { edgeAgent: agent, edgeHub: hub }, modules: {},
  };
  const routes = { schemaVersion: '1.1', routes: {}, storeAndForwardConfiguration: { timeToLiveSecs: 7200 } };
  return { modulesContent: { $edgeAgent: { 'properties.desired': desired }, $edgeHub: { 'properties.desired': routes } } };
}

async function configurations(registry, device) {
  const created = await body(registry.addConfiguration({
    id: 'rate',
    labels: { team: 'a' },
    content: { deviceContent: { 'properties.desired.interval': 9 } },
    targetCondition: `deviceId = '${device}'`,
    priority: 3,
    metrics: {
      queries: { fast: "SELECT deviceId FROM devices WHERE configurations.[[rate]].status = 'Applied'" },
    },
  }));
  const read = () => body(registry.getConfiguration('rate'));
  const first = await read();
  const updated = await body(registry.updateConfiguration({ ...first, priority: 7, labels: { team: 'b' } }));
  const stale = await refusal(registry.updateConfiguration(first));
  const applied = [
    await until(async () => (await body(registry.getTwin(device))).properties.desired.interval, 9),
    await until(async () => (await read()).systemMetrics.results.appliedCount, 1),
    await until(async () => (await read()).metrics.results.fast, 1),
  ];
  const listed = (await body(registry.getConfigurations())).map((configuration) => configuration.id);
  await registry.applyConfigurationContentOnDevice('edge', deployment());
  const { desired } = (await body(registry.getModuleTwin('edge', '$edgeAgent'))).properties;
  await registry.removeConfiguration('rate');
  return {
    created,
    updated,
    stale,
    applied,
    listed,
    agent: desired.systemModules.edgeAgent.settings.image,
    gone: await refusal(read()),
  };
}

async function digitalTwins(client, device) {
  const read = await client.getDigitalTwin(device);
  await client.updateDigitalTwin(device, [{ op: 'add', path: '/targetTemperature', value: 21 }]);
  const timeouts = { connectTimeoutInSeconds: 5, responseTimeoutInSeconds: 30 };
  const command = await client.invokeCommand(device, 'blink', { n: 4 }, timeouts);
  const component = await client.invokeComponentCommand(device, 'thermostat1', 'reset', { n: 5 }, timeouts);
  return {
    read: JSON.parse(read._response.bodyAsText),
    patched: JSON.parse((await client.getDigitalTwin(device))._response.bodyAsText),
    command: JSON.parse(command._response.bodyAsText),
    component: JSON.parse(component._response.bodyAsText),
    gone: await refusal(client.getDigitalTwin('nobody')),
  };
}

async function jobs(client, registry, device) {
  const condition = `deviceId = '${device}'`;
  const update = { etag: '*', tags: { job: 'done' } };
  const created = (await client.scheduleTwinUpdate('update', condition, update, new Date(), 60)).jobStatus;
  const call = { methodName: 'blink', payload: { n: 6 }, responseTimeoutInSeconds: 30 };
  await client.scheduleDeviceMethod('call', condition, call, new Date(), 60);
  await client.scheduleTwinUpdate('later', condition, update, new Date('2099-01-01T00:00:00Z'), 60);
  const read = async (job) => (await client.getJob(job)).jobStatus;
  const ended = [];
  for (const job of ['update', 'call']) ended.push(await until(async () => (await read(job)).status, 'completed'));
  const query = watched('Query', client.createQuery('scheduleUpdateTwin', 'completed', 1));
  return {
    created,
    ended,
    statistics: (await read('call')).deviceJobStatistics,
    tags: (await body(registry.getTwin(device))).tags,
    found: (await query.next()).result.map((job) => job.jobId),
    cancelled: (await client.cancelJob('later')).jobStatus,
    gone: await refusal(client.getJob('nothing')),
  };
}

// Devices are exported with their keys, and one that was deleted is imported again.
async function transfers(registry, host) {
  const folder = `https://${host}/transfers/fleet?sv=2023&sig=abc`;
  const slow = `https://${host}/transfers/slow`;
  const ended = async (job) => {
    await until(async () => (await registry.getJob(job.jobId)).endTimeUtc !== null, true);
    return registry.getJob(job.jobId);
  };
  await registry.create({ deviceId: 'moved', authentication: sas(KEYS) });
  const before = await body(registry.get('moved'));
  const exported = await ended(await registry.exportDevicesToBlob(folder, false));
  await registry.delete('moved');
  const imported = await ended(await registry.importDevicesFromBlob(folder, folder));
  const after = await body(registry.get('moved'));
  const cancelled = await registry.importDevicesFromBlob(slow, slow);
  await registry.cancelJob(cancelled.jobId);
  const listed = (await body(registry.listJobs())).map((job) => job.jobId);
  return {
    exported,
    imported,
    kept: JSON.stringify(before.authentication) === JSON.stringify(after.authentication),
    cancelled: await ended(cancelled),
    listed: [exported, imported, cancelled].map((job) => listed.includes(job.jobId)),
    byIdentity: await refusal(registry.exportDevicesToBlobByIdentity(folder, true)),
    importByIdentity: await refusal(registry.importDevicesFromBlobByIdentity(folder, folder)),
    gone: await refusal(registry.getJob('nothing')),
  };
}

module.exports = { callsOfMethods, configurations, digitalTwins, jobs, transfers };
