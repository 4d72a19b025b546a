/** The worker thread of `parse-off-thread.ts`: is given a WorkerTask, answers with one WorkerAnswer. */
import { parentPort, workerData } from 'node:worker_threads';
import { answerOf, type WorkerTask } from './parse-off-thread.ts';

parentPort?.postMessage(answerOf(workerData as WorkerTask));
