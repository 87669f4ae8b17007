// The identities, twins and queries of a hub, by Registry.
'use strict';

const { body, refusal, watched } = require('./hub_client');

const KEYS = ['QUFBQUFBQUFBQUFBQUFBQQ==', 'QkJCQkJCQkJCQkJCQkJCQg=='];
const THUMBPRINTS = ['0'.repeat(40), '1'.repeat(40)];

function sas([primaryKey, secondaryKey]) {
  return { type: 'sas', symmetricKey: { primaryKey, secondaryKey } };
}

function pinned([primaryThumbprint, secondaryThumbprint]) {
  return { type: 'selfSigned', x509Thumbprint: { primaryThumbprint, secondaryThumbprint } };
}

function turned([first, second]) {
  return [second, first];
}

async function devices(registry) {
  const create = (device) => body(registry.create(device));
  const keyed = await create({ deviceId: 'sas', status: 'enabled', authentication: sas(KEYS) });
  const generated = await create({ deviceId: 'generated', status: 'disabled', statusReason: 'spare' });
  const edge = await create({ deviceId: 'edge', authentication: pinned(THUMBPRINTS), capabilities: { iotEdge: true } });
  const authority = { type: 'certificateAuthority' };
  const leaf = await create({ deviceId: 'leaf', authentication: authority, deviceScope: edge.deviceScope });
  const updated = [
    { deviceId: 'sas', status: 'disabled', statusReason: 'in repair', authentication: sas(turned(KEYS)) },
    { ...edge, authentication: pinned(turned(THUMBPRINTS)) },
    { deviceId: 'leaf', status: 'disabled', authentication: authority },
  ];
  for (const [place, device] of updated.entries()) updated[place] = await body(registry.update(device));
  const twice = await refusal(registry.create({ deviceId: 'sas' }));
  const listed = (await body(registry.list())).map((device) => device.deviceId).sort();
  await registry.delete('generated');
  return {
    created: [keyed, generated, edge, leaf],
    updated,
    read: await body(registry.get('sas')),
    twice,
    listed,
    gone: await refusal(registry.get('generated')),
    statistics: await body(registry.getRegistryStatistics()),
  };
}

async function modules(registry) {
  const named = (moduleId, authentication, managedBy) => ({ deviceId: 'sas', moduleId, authentication, managedBy });
  const created = [
    named('m-sas', sas(KEYS), 'somebody'),
    named('m-x509', pinned(THUMBPRINTS), ''),
    named('m-ca', { type: 'certificateAuthority' }, ''),
  ];
  for (const [place, module] of created.entries()) created[place] = await body(registry.addModule(module));
  const [keyed, x509, authority] = created;
  const updated = [
    await body(registry.updateModule({ ...keyed, authentication: sas(turned(KEYS)), managedBy: 'another' })),
    await body(registry.updateModule({ ...x509, authentication: pinned(turned(THUMBPRINTS)) }, true)),
    await body(registry.updateModule({ ...authority, managedBy: 'me' })),
  ];
  const stale = await refusal(registry.updateModule(keyed));
  const listed = (await body(registry.getModulesOnDevice('sas'))).map((module) => module.moduleId).sort();
  // With a module, the SDK needs a callback.
  const staleDelete = await refusal(new Promise((resolve, reject) => {
    registry.removeModule(authority, (error) => (error ? reject(error) : resolve()));
  }));
  await registry.removeModule('sas', 'm-ca');
  return {
    created,
    updated,
    read: await body(registry.getModule('sas', 'm-sas')),
    stale,
    staleDelete,
    listed,
    gone: await refusal(registry.getModule('sas', 'm-ca')),
  };
}

// The answer to a bulk operation, also to one of which a part fails, which is an error to the SDK.
function bulkAnswer(promise) {
  return body(promise).catch((error) => JSON.parse(error.responseBody));
}

async function bulk(registry) {
  const named = (names, members) => names.map((deviceId) => ({ deviceId, ...members }));
  const created = await bulkAnswer(registry.addDevices(named(['bulk-1', 'bulk-2'], { status: 'enabled' })));
  const change = named(['bulk-1'], { status: 'disabled', statusReason: 'in bulk' });
  const updated = await bulkAnswer(registry.updateDevices(change, true));
  const stale = await bulkAnswer(registry.updateDevices(named(['bulk-1'], { status: 'enabled', etag: 'c3RhbGU=' }), false));
  const read = await body(registry.get('bulk-1'));
  const again = await bulkAnswer(registry.addDevices(named(['bulk-1', 'bulk-3'], { status: 'enabled' })));
  const deleted = await bulkAnswer(registry.removeDevices(named(['bulk-1', 'bulk-2', 'bulk-3']), true));
  return { created, updated, stale, read, again, deleted };
}

// A twin of the SDK without its client.
function plain(twin) {
  return JSON.parse(JSON.stringify(twin));
}

async function changes(registry, read, update) {
  const patch = { tags: { site: 'seoul' }, properties: { desired: { rate: 5, unit: 's' } } };
  const first = await body(read());
  const before = plain(first);
  const stale = before.etag;
  const patched = plain((await watched('Twin', first).update(patch)).result);
  const again = plain((await watched('Twin', first).get()).result);
  return {
    read: before,
    patched,
    again,
    stale: await refusal(update({ tags: { site: 'x' } }, stale)),
    merged: plain(await body(update({ tags: { site: 'busan' }, properties: { desired: { rate: 7, unit: null } } }, '*'))),
    json: Object.keys(watched('Twin', first).toJSON()).includes('deviceId'),
  };
}

async function twins(registry, device, module) {
  const ofDevice = await changes(registry, () => registry.getTwin(device), (patch, etag) =>
    registry.updateTwin(device, patch, etag));
  const ofModule = await changes(registry, () => registry.getModuleTwin(device, module), (patch, etag) =>
    registry.updateModuleTwin(device, module, patch, etag));
  return { ...ofDevice, module: ofModule };
}

// All devices in pages of two.
async function queries(registry) {
  const query = watched('Query', registry.createQuery('SELECT * FROM devices', 2));
  const pages = [];
  let type;
  while (query.hasMoreResults) {
    const { result, message } = await query.nextAsTwin();
    pages.push(result.map((twin) => twin.deviceId));
    type = message.headers['x-ms-item-type'];
  }
  const found = watched('Query', registry.createQuery("SELECT * FROM devices WHERE tags.site = 'busan'"));
  const bad = watched('Query', registry.createQuery('SELECT'));
  return {
    sizes: pages.map((page) => page.length),
    ids: pages.flat().sort(),
    type,
    found: (await found.next()).result.map((twin) => twin.deviceId),
    bad: await refusal(bad.next()),
  };
}

module.exports = { KEYS, bulk, devices, modules, queries, sas, twins };
