/** What of a command line leaves the host: every row is one command line and what is shown of it. */
import { describe, expect, it } from 'vitest';
import { PROCFS_LIMITS } from './limits.ts';
import { redactCommandLine } from './redact.ts';

const HEX_40 = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';
const HEX_32 = 'd41d8cd98f00b204e9800998ecf8427e';
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U';
const MIXED = 'q7Zt1Lw9XcR4bN2mK8vD5sJ3hG6fA0pE';

const HIDDEN: readonly (readonly [argv: string[], shown: string[]])[] = [
  [
    ['t.py', '--set=api_key=abc'],
    ['t.py', '--set=api_key=[redacted]'],
  ],
  [
    ['t.py', '--set', 'api_key=abc,lr=1'],
    ['t.py', '--set', 'api_key=[redacted],lr=1'],
  ],
  [
    ['t.py', '--token', 'abc'],
    ['t.py', '--token', '[redacted]'],
  ],
  [
    ['t.py', '--token=abc'],
    ['t.py', '--token=[redacted]'],
  ],
  [
    ['t.py', '-token', 'abc'],
    ['t.py', '-token', '[redacted]'],
  ],
  [
    ['t.py', '--api-key', 'k'],
    ['t.py', '--api-key', '[redacted]'],
  ],
  [
    ['t.py', '--api_key=k'],
    ['t.py', '--api_key=[redacted]'],
  ],
  [
    ['t.py', '--apiKey', 'k'],
    ['t.py', '--apiKey', '[redacted]'],
  ],
  [
    ['t.py', '--apikey', 'k'],
    ['t.py', '--apikey', '[redacted]'],
  ],
  [
    ['t.py', '--password', '-hunter2'],
    ['t.py', '--password', '[redacted]'],
  ],
  [
    ['t.py', '--db.password=hunter2'],
    ['t.py', '--db.password=[redacted]'],
  ],
  [
    ['t.py', '+model.api_key=k'],
    ['t.py', '+model.api_key=[redacted]'],
  ],
  [
    ['t.py', '--use-auth-token', 'k'],
    ['t.py', '--use-auth-token', '[redacted]'],
  ],
  [
    ['env', 'DB_SECRET=x', 'HF_TOKEN=y', 'p'],
    ['env', 'DB_SECRET=[redacted]', 'HF_TOKEN=[redacted]', 'p'],
  ],
  [
    ['env', 'AWS_SECRET_ACCESS_KEY=x'],
    ['env', 'AWS_SECRET_ACCESS_KEY=[redacted]'],
  ],
  [
    ['env', 'WANDB_API_KEY=x'],
    ['env', 'WANDB_API_KEY=[redacted]'],
  ],
  [
    ['t.py', 'postgres://bob:pw@db/x'],
    ['t.py', 'postgres://bob:[redacted]@db/x'],
  ],
  [
    ['t.py', '--db=redis://:pw@db:6379/0'],
    ['t.py', '--db=redis://:[redacted]@db:6379/0'],
  ],
  [
    ['curl', 'https://h/x?a=1&token=abc&b=2'],
    ['curl', 'https://h/x?a=1&token=[redacted]&b=2'],
  ],
  [
    ['curl', 'https://h/x?X-Amz-Signature=abc'],
    ['curl', 'https://h/x?X-Amz-Signature=[redacted]'],
  ],
  [
    ['curl', '-H', 'Authorization: Bearer abc'],
    ['curl', '-H', 'Authorization: Bearer [redacted]'],
  ],
  [
    ['curl', '-H', 'X-Api-Key: abc'],
    ['curl', '-H', 'X-Api-Key: [redacted]'],
  ],
  [
    ['t.py', 'Bearer abcdefgh123'],
    ['t.py', 'Bearer [redacted]'],
  ],
  [
    ['t.py', 'sk-proj-abcdefghijklmnop1234'],
    ['t.py', '[redacted]'],
  ],
  [
    ['t.py', 'ghp_abcdefghijklmnopqrstuvwxyz0123456789'],
    ['t.py', '[redacted]'],
  ],
  [
    ['t.py', '--repo=https://ghp_abcdefghijklmnopqrst0123@h/r'],
    ['t.py', '--repo=https://[redacted]@h/r'],
  ],
  [
    ['t.py', 'hf_abcdefghijklmnopqrstuvwxyzABCDEFGH'],
    ['t.py', '[redacted]'],
  ],
  [
    ['t.py', 'AKIAIOSFODNN7EXAMPLE'],
    ['t.py', '[redacted]'],
  ],
  [
    ['t.py', 'wJ4lrX7tn2EM/K7d3Ng9bP/xR5fiC8yq6Lm1Kz0v'],
    ['t.py', '[redacted]'],
  ],
  [
    ['t.py', JWT],
    ['t.py', '[redacted]'],
  ],
  [
    ['t.py', `--x=${JWT}`],
    ['t.py', '--x=[redacted]'],
  ],
  [
    ['t.py', HEX_40],
    ['t.py', '[redacted]'],
  ],
  [
    ['t.py', '--x', HEX_32],
    ['t.py', '--x', '[redacted]'],
  ],
  [
    ['t.py', `--x=${MIXED}`],
    ['t.py', '--x=[redacted]'],
  ],
  [
    ['t.py', '-p', MIXED],
    ['t.py', '-p', '[redacted]'],
  ],
  [
    ['sh', '-c', 'TOKEN=abc python t.py --lr 1'],
    ['sh', '-c', 'TOKEN=[redacted] python t.py --lr 1'],
  ],
  [
    ['sh', '-c', 'python t.py --password abc -v'],
    ['sh', '-c', 'python t.py --password [redacted] -v'],
  ],
  [
    ['t.py', '--cfg={"api_key": "abc", "lr": 1}'],
    ['t.py', '--cfg={"api_key": "[redacted]", "lr": 1}'],
  ],
  [
    ['python', '-c', "login(token='abc')"],
    ['python', '-c', "login(token='[redacted]')"],
  ],
  [
    ['t.py', '-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----'],
    ['t.py', '[redacted]'],
  ],
];

const SHOWN: readonly string[][] = [
  ['python3', 'train.py', '--lr', '0.1', '--epochs=3'],
  ['t.py', '--model', 'meta-llama/Meta-Llama-3-70B-Instruct-GPTQ-4bit-32g-actorder_True'],
  ['t.py', '--tokenizer', 'bert-base-uncased', '--max-new-tokens', '2048', '--pad-token', '</s>'],
  ['t.py', '--eos_token_id=2', '--token-file', '/run/secrets/token', '--max_token=5', '--num-tokens', '7'],
  ['t.py', '--password-file=/etc/pw', '--secret-name', 'db', '--token-type', 'bpe'],
  ['t.py', '--sort-key', 'loss', '--key', 'a', '--author', 'bob', '--passes', '3', '--keyboard', 'de'],
  ['t.py', '--dataset', '123e4567-e89b-12d3-a456-426614174000'],
  ['t.py', '--revision', HEX_40],
  ['t.py', `--git-commit=${HEX_40}`, `--run_id=${HEX_32}`],
  ['docker', `img@sha256:${HEX_32}${HEX_32}`],
  ['t.py', `/root/.cache/huggingface/hub/models--x/snapshots/${HEX_40}/model.safetensors`],
  ['t.py', `/nix/store/zy1xqyr3n8n1vm3sk8xq3ia0y5q2ljzk-python3-3.11/bin/python3`],
  ['t.py', '/data/experiments/2026/ResNet50/Step100000/checkpoints/final/weights'],
  ['t.py', 'runs/ImageNet1k/ResNet50/Batch256/Epoch90/BestCheckpointModel3'],
  ['t.py', '--trainer', 'DistributedDataParallelTrainerV2', '--cls=pkg.module.SomeVeryLongClassName2WithMore'],
  ['git', 'clone', 'ssh://git@host/repo', 'http://host:8080/x', 'host:29500'],
  ['t.py', '--token', '--verbose'],
  ['t.py', '--token='],
  ['t.py', '--secret', '-v', '0123456789abcdef'],
  ['t.py', '--seed', '1234567890123456789012345'],
  ['torchrun', '--rdzv_endpoint=10.0.0.1:29400', '--rdzv_id=job-7'],
  [],
  [''],
];

describe('redactCommandLine', () => {
  it.each(HIDDEN)('hides the secret of %j', (argv, shown) => {
    expect(redactCommandLine(argv)).toEqual(shown);
  });

  it.each(SHOWN.map((argv) => [argv] as const))('shows %j as it is', (argv) => {
    expect(redactCommandLine(argv)).toEqual(argv);
  });

  it('shows an argument at the bound, and cuts one beyond it', () => {
    const max = PROCFS_LIMITS.argument_max_chars;
    const atBound = '.'.repeat(max);
    expect(redactCommandLine([atBound])).toEqual([atBound]);
    expect(redactCommandLine([`${atBound}.`])).toEqual([`${'.'.repeat(max - 1)}…`]);
  });

  it('is done with the longest command line that is read before anybody notices', () => {
    for (const piece of [
      'a',
      'a=',
      '--a ',
      'a:',
      'eyJ',
      '"',
      'sk-',
      'A1b',
      '/',
      'a-',
      '- ',
      'token=',
      'token "',
      'a@:',
      '--token ',
      'authorization ',
      '\\',
      '://:',
    ]) {
      const argument = piece.repeat(PROCFS_LIMITS.command_line_max_bytes / piece.length);
      const started = performance.now();
      redactCommandLine([argument]);
      expect(performance.now() - started, `on repeated ${piece}`).toBeLessThan(1_000);
    }
  });
});
