#!/usr/bin/env node
import { launch } from '../dist/launch.js';

const words = process.argv.slice(2);
const [first = 'serve'] = words;
// A mock that serves ends with this process, even if that is killed.
const until = '--until-stdin-closes';
const ends = (first === 'serve' || first.startsWith('-')) && !words.includes(until);
launch('coze-auth-mock', 'coze-auth-mock', 'COZE_AUTH_MOCK_BIN', ends ? [...words, until] : words, ends);
