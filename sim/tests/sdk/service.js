// Everything that an operator does with enrollments, with the unmodified Node provisioning service SDK.
//
// Reads one JSON object of settings from the command line and prints one JSON object: what the SDK gave back, step by step.
'use strict';

const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');

// The code of the service's error, or what else went wrong.
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.responseBody ? JSON.parse(error.responseBody).errorCode : String(error);
  }
  return 'not refused';
}

// The SDK's promise of a bulk operation never settles; its callback is called.
function bulk(client, operation) {
  return new Promise((resolve, reject) => {
    client.runBulkEnrollmentOperation(operation, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

// What the stories compare of an enrollment or a group.
function row(enrollment) {
  return {
    id: enrollment.registrationId ?? enrollment.enrollmentGroupId,
    deviceId: enrollment.deviceId,
    etag: enrollment.etag,
    status: enrollment.provisioningStatus,
    iotEdge: enrollment.registrationId && enrollment.capabilities.iotEdge,
    attestation: mechanism(enrollment.attestation),
    tags: enrollment.initialTwin.tags,
    desired: enrollment.initialTwin.properties.desired,
  };
}

// An attestation mechanism, as far as the stories compare it.
function mechanism({ type, x509, symmetricKey }) {
  const certificates = x509 && (x509.clientCertificates ?? x509.signingCertificates);
  return {
    type,
    subject: certificates?.primary.info.subjectName,
    keys: symmetricKey && [symmetricKey.primaryKey, symmetricKey.secondaryKey],
  };
}

// As a promise, `next` goes on where it is told to, not where the last page ended.
async function pages(query, id) {
  const sizes = [];
  const ids = [];
  while (query.hasMoreResults) {
    const { responseBody } = await query.next(query.continuationToken);
    sizes.push(responseBody.length);
    ids.push(...responseBody.map(id));
  }
  return { sizes, ids };
}

// Create, read, update and delete, each also against a version that is not the current one.
async function crud(draft, change, { put, read, readMechanism, remove, removeAny }) {
  const id = draft.registrationId ?? draft.enrollmentGroupId;
  const body = async (promise) => (await promise).responseBody;
  const created = row(await body(put(draft)));
  const twice = await refusal(put(draft));
  const first = await body(read(id));
  const updated = await body(put({ ...first, ...change }));
  const stale = await refusal(put(first));
  const shown = mechanism(await body(readMechanism(id)));
  const staleDelete = await refusal(remove(first));
  await removeAny(updated);
  const gone = await refusal(read(id));
  return { created, twice, updated: row(updated), stale, mechanism: shown, staleDelete, gone };
}

const initialTwin = { tags: { site: 'a' }, properties: { desired: { rate: 5 } } };

function individual(client, settings) {
  const draft = {
    registrationId: settings.name,
    deviceId: 'device-1',
    attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: settings.leaf } } } },
    capabilities: { iotEdge: true },
    initialTwin,
    provisioningStatus: 'enabled',
  };
  const change = { deviceId: 'device-2', initialTwin: { ...initialTwin, tags: { site: 'a', floor: 2 } } };
  return crud(draft, change, {
    put: (enrollment) => client.createOrUpdateIndividualEnrollment(enrollment),
    read: (id) => client.getIndividualEnrollment(id),
    readMechanism: (id) => client.getIndividualEnrollmentAttestationMechanism(id),
    remove: (enrollment) => client.deleteIndividualEnrollment(enrollment.registrationId, enrollment.etag),
    removeAny: (enrollment) => client.deleteIndividualEnrollment(enrollment),
  });
}

function group(client, settings) {
  const draft = {
    enrollmentGroupId: 'made-group',
    attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: settings.intermediate } } } },
    initialTwin,
    provisioningStatus: 'enabled',
  };
  return crud(draft, { provisioningStatus: 'disabled' }, {
    put: (enrollment) => client.createOrUpdateEnrollmentGroup(enrollment),
    read: (id) => client.getEnrollmentGroup(id),
    readMechanism: (id) => client.getEnrollmentGroupAttestationMechanism(id),
    remove: (enrollment) => client.deleteEnrollmentGroup(enrollment),
    removeAny: (enrollment) => client.deleteEnrollmentGroup(enrollment.enrollmentGroupId),
  });
}

function keyed(id, symmetricKey) {
  return { registrationId: id, attestation: { type: 'symmetricKey', symmetricKey } };
}

// Keys that nobody chose, in each of the ways in which clients do not choose them.
async function keys(client) {
  const generated = [];
  for (const draft of [keyed('key-absent'), keyed('key-empty', { primaryKey: '', secondaryKey: '' })]) {
    await client.createOrUpdateIndividualEnrollment(draft);
    const { responseBody } = await client.getIndividualEnrollmentAttestationMechanism(draft.registrationId);
    generated.push(mechanism(responseBody));
  }
  const symmetricKey = { primaryKey: 'QUFBQUFBQUFBQUFBQUFBQQ==', secondaryKey: 'QkJCQkJCQkJCQkJCQkJCQg==' };
  await client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: 'key-group',
    attestation: { type: 'symmetricKey', symmetricKey },
  });
  const ofGroup = mechanism((await client.getEnrollmentGroupAttestationMechanism('key-group')).responseBody);
  const read = mechanism((await client.getEnrollmentGroup('key-group')).responseBody.attestation);
  return { generated, ofGroup, read };
}

async function bulks(client) {
  const run = async (mode, enrollments) => {
    const result = await bulk(client, { mode, enrollments });
    return { ...result, errors: result.errors.map((error) => [error.registrationId, error.errorCode]) };
  };
  const created = await run('create', ['bulk-1', 'bulk-2', 'bulk-3'].map((id) => keyed(id)));
  const again = await run('create', ['bulk-1', 'bulk-4'].map((id) => keyed(id)));
  const updated = await run('update', [{ ...keyed('bulk-1'), deviceId: 'other' }]);
  const conflict = await run('updateIfMatchETag', [{ ...keyed('bulk-2'), etag: '"stale"' }]);
  const { deviceId } = (await client.getIndividualEnrollment('bulk-1')).responseBody;
  const listed = await pages(client.createIndividualEnrollmentQuery({ query: '*' }, 3), (one) => one.registrationId);
  const deleted = await run('delete', ['bulk-1', 'bulk-2', 'bulk-3', 'bulk-4'].map((id) => keyed(id)));
  return { created, again, updated, conflict, deviceId, ...listed, deleted };
}

// What became of the devices of a group that registered before.
async function registrations(client, settings) {
  const name = settings.registered[0];
  const read = (await client.getDeviceRegistrationState(name)).responseBody;
  const query = client.createEnrollmentGroupDeviceRegistrationStateQuery({ query: '*' }, settings.group, 1);
  const listed = await pages(query, (state) => state.registrationId);
  const staleDelete = await refusal(client.deleteDeviceRegistrationState(name, '"stale"'));
  await client.deleteDeviceRegistrationState(read);
  const gone = await refusal(client.getDeviceRegistrationState(name));
  const groups = await pages(client.createEnrollmentGroupQuery({ query: '*' }, 10), (one) => one.enrollmentGroupId);
  const { status, deviceId, assignedHub } = read;
  return { read: { status, deviceId, assignedHub }, ...listed, staleDelete, gone, groups: groups.ids };
}

async function main(settings) {
  const client = ProvisioningServiceClient.fromConnectionString(settings.connectionString);
  const report = {
    individual: await individual(client, settings),
    group: await group(client, settings),
    keys: await keys(client),
    bulk: await bulks(client),
    registrations: await registrations(client, settings),
  };
  process.stdout.write(JSON.stringify(report) + '\n');
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error.stack, error.responseBody ?? '');
  process.exit(1);
});
