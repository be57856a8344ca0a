// @coze/api judges the mock: `run.py` starts it, and says on standard input what the mock and its worlds are.
import { text } from 'node:stream/consumers';
import { judge } from './mock_case.mjs';
import { version } from '../../../conformance/released-sdks/coze_api_sdk.mjs';
import { CASES as flows } from './coze_api_flows.mjs';
import { CASES as refusals } from './coze_api_refusals.mjs';

const info = JSON.parse(await text(process.stdin));
process.exitCode = (await judge([...flows, ...refusals], info, `@coze/api ${version}`)) ? 1 : 0;
