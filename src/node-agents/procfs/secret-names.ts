/** Which names of options and variables are those of secrets, and which are those of hashes and ids. */

const SECRET_WORDS = new Set(
  `token secret password passwd passphrase pwd pass apikey apitoken authtoken accesstoken accesskey secretkey
   privatekey credential credentials auth authorization bearer cookie signature sig dsn pat`.split(/\s+/),
);

/** Before `key`, these make it a secret; `--sort-key` and `--key` are not. */
const SECRET_KEYS = new Set(
  `api access secret private account encryption encrypt signing sign auth license wandb service client shared master
   admin app storage subscription hmac aes webhook`.split(/\s+/),
);

/** Before `token`, these say that it is a piece of text. */
const TEXT_TOKENS = new Set(
  `pad eos bos unk mask sep cls image video audio special stop start end max min num next new per begin first last
   prompt think`.split(/\s+/),
);

/** At the end, these say that the value is about a secret and not one itself. */
const ABOUT = new Set(
  `file path dir folder name env id ids type kind count size length len limit ttl expiry expires url uri endpoint
   method mode provider field header index position budget usage style dim rate lifetime timeout policy`.split(/\s+/),
);

const DIGEST_WORDS = new Set(
  `revision rev commit sha sha1 sha256 sha512 md5 hash digest checksum uuid guid id ref version tag branch run
   fingerprint etag build snapshot`.split(/\s+/),
);

/** Whether a value of this name is a secret: `--hf-token`, `DB_PASSWORD`, `model.apiKey`. */
export function isSecretName(name: string): boolean {
  const words = wordsOf(name);
  const last = words.at(-1) ?? '';
  if (ABOUT.has(last)) return false;
  return words.some((word, index) => {
    const before = words[index - 1] ?? '';
    if (word === 'key') return SECRET_KEYS.has(before);
    if (word === 'token') return !TEXT_TOKENS.has(before);
    return SECRET_WORDS.has(word);
  });
}

/** Whether a value of this name is a hash or an id, which may be shown however random it looks. */
export function isDigestName(name: string): boolean {
  return DIGEST_WORDS.has(wordsOf(name).at(-1) ?? '');
}

/** `hfToken`, `HF_TOKEN` and `hf-token` are all `hf`, `token`. */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}
