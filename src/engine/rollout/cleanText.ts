/** Removes what would leak or differ from try to try: tokens, users in texts of registries. */
export function cleanText(text: string): string {
  return text
    .replace(/([?&](?:token|X-Amz-[A-Za-z-]+|sig|se|sv)=)[^\s&"']+/g, '$1…')
    .replace(/\b(eyJ[\w-]{10,})\.[\w-]+\.[\w-]+/g, '…')
    .replace(/(https?:\/\/)[^/\s:@]+:[^/\s@]+@/g, '$1…@')
    .replace(/\s+/g, ' ')
    .trim();
}
