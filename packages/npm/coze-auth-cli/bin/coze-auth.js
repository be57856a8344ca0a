#!/usr/bin/env node
import { launch } from '../dist/launch.js';

launch('coze-auth-cli', 'coze-auth', 'COZE_AUTH_CLI_BIN', process.argv.slice(2));
