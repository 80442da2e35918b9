import { StowageError } from '../error.js';
import { isCleanAbsolute } from '../plan/host-path.js';
import type { GivenOption } from '../settings/options.js';
import type { SettingsText } from '../settings/settings-file.js';
import type { ReadSettingsRequestMessage } from './definitions.js';
import { checkClient, checkOptions, invalidRequest } from './request.js';

const mostFiles = 32;
const largestFileBytes = 256 * 1024;
/** To read TOML takes its time, in which no other user is served. */
const mostBytes = 1024 * 1024;
const mostVariables = 1024;
const mostOthers = 256;
const longestReference = 4096;

/** A ReadSettingsRequest whose every field has been looked at. */
export interface SettingsInput {
  reference: string;
  options: GivenOption[];
  files: SettingsText[];
}

type FileMessage = ReadSettingsRequestMessage['files'][number];

/** Throws `protocol-mismatch`, `request-invalid` or `settings-invalid`. */
export function checkSettingsRequest(message: ReadSettingsRequestMessage): SettingsInput {
  checkClient(message.client);
  if (Buffer.byteLength(message.reference) > longestReference)
    throw invalidRequest('reference is longer than any can be');
  if (message.files.length > mostFiles) {
    throw new StowageError(
      'settings-invalid',
      `the environment is built on more than ${mostFiles} others; put some of them together`,
    );
  }
  const files = message.files.map(checkFile);
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  if (bytes > mostBytes) {
    throw new StowageError(
      'settings-invalid',
      `the files of the environment have ${bytes} bytes, and ${mostBytes} are the most`,
    );
  }
  return { reference: message.reference, options: checkOptions(message.options), files };
}

function checkFile(message: FileMessage): SettingsText {
  const { name, path, content, problem, directory } = {
    name: message.name ?? '',
    path: message.path ?? '',
    content: message.content ?? new Uint8Array(),
    problem: message.problem ?? '',
    directory: message.directory ?? '',
  };
  const variables = message.variables ?? [];
  const others = message.others ?? [];
  if (content.length > largestFileBytes)
    throw invalidRequest(`a file has more than ${largestFileBytes} bytes`);
  if (path !== '' && !isCleanAbsolute(directory)) throw invalidRequest('files.directory is not absolute');
  if (variables.length > mostVariables)
    throw invalidRequest(`a file has more than ${mostVariables} variables`);
  if (others.length > mostOthers) throw invalidRequest(`a file has more than ${mostOthers} others`);
  return {
    name,
    path,
    content,
    problem,
    directory,
    others,
    variables: new Map(variables.map((variable) => [variable.name ?? '', variable.value ?? ''])),
  };
}
