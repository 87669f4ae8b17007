// The clients of the Node device SDK, and what each of their methods came to.
'use strict';

const sdk = require('azure-iot-device');

const { calls, methods, watched } = require('./hub_client');

const classes = { Client: sdk.Client, ModuleClient: sdk.ModuleClient, Twin: sdk.Twin };

// Every public method of the SDK's clients, and what became of its calls.
function outcomes() {
  return methods(classes);
}

// A client that a static method of its class made.
function create(name, method, ...given) {
  calls[`${name}.${method}`] = 'answered';
  return watched(name, classes[name][method](...given));
}

// Calls a method that has a callback and no promise.
function called(name, client, method, ...given) {
  return new Promise((resolve, reject) => {
    client[method](...given, (error, value) => {
      calls[`${name}.${method}`] = error ? 'refused' : 'answered';
      if (error) reject(error);
      else resolve(value);
    });
  });
}

// A method of the client that fails, whatever a hub says to it.
async function refused(name, client, method, ...given) {
  try {
    await client[method](...given);
  } catch (error) {
    calls[`${name}.${method}`] = 'refused';
    return error.name;
  }
  return 'not refused';
}

// The values that `push` gets, one after another.
class Queue {
  #values = [];

  #waiting = [];

  push = (value) => {
    const next = this.#waiting.shift();
    if (next) next(value);
    else this.#values.push(value);
  };

  // The next value that is wanted.
  async take(wanted = () => true) {
    for (;;) {
      const value = this.#values.length
        ? this.#values.shift()
        : await new Promise((resolve) => this.#waiting.push(resolve));
      if (wanted(value)) return value;
    }
  }
}

module.exports = { Queue, called, create, outcomes, refused };
