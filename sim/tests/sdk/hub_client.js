// The clients of the Node service SDK of the hub, and what each of their methods came to.
'use strict';

const { EventEmitter } = require('events');
const sdk = require('azure-iothub');
const { Query } = require('azure-iothub/dist/query');

const classes = {
  Registry: sdk.Registry,
  JobClient: sdk.JobClient,
  Client: sdk.Client,
  DigitalTwinClient: sdk.DigitalTwinClient,
  Twin: sdk.Twin,
  Query,
};
const calls = {};

function isMethod(owner, name) {
  return !name.startsWith('_') && name !== 'constructor' && typeof owner[name] === 'function';
}

// Every public method of the classes, and what became of its calls.
function methods(kinds) {
  const found = {};
  for (const [name, kind] of Object.entries(kinds)) {
    const names = Object.getOwnPropertyNames(kind).filter((method) => isMethod(kind, method));
    let owner = kind.prototype;
    for (; owner !== Object.prototype && owner !== EventEmitter.prototype; owner = Object.getPrototypeOf(owner)) {
      const from = owner;
      names.push(...Object.getOwnPropertyNames(from).filter((method) => isMethod(from, method)));
    }
    for (const method of names) found[`${name}.${method}`] = calls[`${name}.${method}`] ?? 'not called';
  }
  return found;
}

function outcomes() {
  return methods(classes);
}

function note(key, promise) {
  return promise.then((value) => {
    calls[key] = 'answered';
    return value;
  }, (error) => {
    calls[key] ??= 'refused';
    throw error;
  });
}

// An object of the SDK; notes which of its methods answer.
function watched(name, object) {
  return new Proxy(object, {
    get(target, method) {
      const value = target[method];
      if (typeof method !== 'string' || typeof value !== 'function' || method.startsWith('_')) return value;
      return (...given) => {
        const key = `${name}.${method}`;
        const answer = value.apply(target, given);
        if (answer instanceof Promise) return note(key, answer);
        calls[key] = 'answered';
        return answer;
      };
    },
  });
}

function connect(name, connectionString) {
  calls[`${name}.fromConnectionString`] = 'answered';
  return watched(name, classes[name].fromConnectionString(connectionString));
}

// Status and code of the service's error.
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    const response = error.response ?? {};
    const headers = response.headers ?? {};
    const code = headers.get ? headers.get('iothub-errorcode') : headers['iothub-errorcode'];
    return [response.statusCode ?? response.status ?? String(error), code];
  }
  return 'not refused';
}

async function body(promise) {
  return (await promise).responseBody;
}

// The value once it is the one that is wanted, or what it is after ten seconds.
async function until(read, wanted) {
  const end = Date.now() + 10000;
  for (;;) {
    const value = await read();
    if (value === wanted || Date.now() > end) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

module.exports = { body, calls, connect, methods, note, outcomes, refusal, until, watched };
