import { describe, expect, it } from 'vitest';
import { uuidV7 } from '../../src/base/index.ts';
import { LINK_PATH } from '../../src/contract/index.ts';
import { linkUrl } from '../../src/link/dialling/index.ts';
import { displayDuration } from '../../src/node-agents/config/settings.ts';
import { programLabel } from '../../src/node-agents/procs/identity.ts';
import { hashUid } from '../../src/node-agents/producer/hash-uid.ts';

describe('the label of a command', () => {
  it.each([
    [['python3', 'train.py', '--lr', '0.1'], 'train'],
    [['/usr/bin/python3.11', '-u', '/app/Train_GPT.py'], 'train_gpt'],
    [['python', '-m', 'torch.distributed.run', 'train.py'], 'run'],
    [['python3', '-c', 'import time'], 'python3'],
    [['torchrun', '--nproc-per-node', '2', 'train.py'], 'torchrun'],
    [['node', 'server.mjs'], 'server'],
    [['bash', '-c', 'sleep 1'], 'bash'],
    [['python3'], 'python3'],
    [['./123'], 'nil'],
    [[], 'nil'],
  ])('%j is %s', (command, label) => {
    expect(programLabel(command)).toBe(label);
  });
});

describe('identities', () => {
  it('hash to unsigned 64-bit numbers, the same each time, and apart when the parts differ', () => {
    expect(hashUid('process', 'boot', 1, 2)).toBe(hashUid('process', 'boot', 1, 2));
    expect(hashUid('process', 'boot', 1, 2)).not.toBe(hashUid('process', 'boot', 12));
    expect(hashUid('x')).toBeLessThanOrEqual(0xffff_ffff_ffff_ffffn);
  });

  it('of instances are version 7 UUIDs in order of time', () => {
    expect(uuidV7()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(uuidV7(1_000) < uuidV7(2_000)).toBe(true);
  });
});

describe('durations and addresses', () => {
  it.each([
    [0, '0s'],
    [500, '500ms'],
    [10_000, '10s'],
    [90_000, '1m 30s'],
    [3_600_000, '1h'],
  ])('%i ms is shown as %s', (duration_ms, text) => {
    expect(displayDuration(duration_ms)).toBe(text);
  });

  it.each([
    ['http://10.0.0.5:1729', 'ws://10.0.0.5:1729/v1/link?host=gpu-7'],
    ['https://gw.example.com/mesh/', 'wss://gw.example.com/mesh/v1/link?host=gpu-7'],
  ])('the link of %s is %s', (base, url) => {
    expect(linkUrl(base, LINK_PATH, { host: 'gpu-7' })).toBe(url);
  });
});
