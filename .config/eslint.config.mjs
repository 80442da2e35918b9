import { resolve } from 'node:path';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// From the side of the job to the side of the registry. A folder imports only from those after it.
const pathOfAnImage = ['rpc', 'plan', 'settings', 'store', 'registry', 'image'];
const upstreamOf = (folder) => pathOfAnImage.slice(0, pathOfAnImage.indexOf(folder));
// These serve every step, so they may know all of them except the one that puts everything together.
const servants = ['addon', 'cdi', 'config', 'policy', 'telemetry'];

const mayNotImport = (folder, others) => ({
  files: [`wrapper/${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: [...others.map((other) => `**/${other}/**`), '**/daemon.js', '**/stowaged.js'],
            message: `This climbs back up the path of an image: ${pathOfAnImage.join(' -> ')}.`,
          },
        ],
      },
    ],
  },
});

const rules = {
  eqeqeq: 'error',
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
};

export default defineConfig(
  { ignores: ['build/', '.cluster/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  { files: ['**/*.mjs'], extends: [tseslint.configs.strict], rules },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: 'tsconfig.json', tsconfigRootDir: resolve(import.meta.dirname, '..') },
    },
    rules: {
      ...rules,
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // A function is async because of the type that it fulfils, whether or not it has to wait.
      '@typescript-eslint/require-await': 'off',
    },
  },
  ...pathOfAnImage.map((folder) => mayNotImport(folder, upstreamOf(folder))),
  ...servants.map((folder) => mayNotImport(folder, ['rpc'])),
);
