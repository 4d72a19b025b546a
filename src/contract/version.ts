/** The release, as package.json says; a test holds them together. Here for bundles, which cannot read files. */
export const VERSION = '0.1.0';
