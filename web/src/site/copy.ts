import { toast } from '../components/toasts.svelte';
import { t } from '../i18n.svelte';

/** Puts text on the clipboard and says so. Without a secure context there is none: then it says that. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(t('common.copied'));
  } catch {
    toast(t('site.copy_failed'), { kind: 'error' });
  }
}
