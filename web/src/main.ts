import { mount } from 'svelte';
import App from './App.svelte';
import './tokens.css';
import './base.css';
import { startLanguage } from './i18n.svelte';

await startLanguage();
mount(App, { target: document.getElementById('app')! });
