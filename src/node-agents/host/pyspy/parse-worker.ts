/** The worker thread of `parse-off-thread.ts`: is given bytes, answers with one WorkerAnswer. */
import { parentPort, workerData } from 'node:worker_threads';
import { answerOf } from './parse-off-thread.ts';
import { parseOutput } from './parse-output.ts';

parentPort?.postMessage(answerOf(parseOutput(workerData as Uint8Array)));
