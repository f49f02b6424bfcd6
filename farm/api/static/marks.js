/** The marks of a chapter's file, brought to its sentences. */

/** Gives sentences their written text and their times: `from`, `to`, `words` with places in it. */
export function addMarks(sentences, marks) {
  const byStart = new Map(sentences.map((sentence) => [sentence.start, sentence]));
  let current = null;
  let from = 0;
  for (const mark of marks) {
    if (mark.type === "sentence") {
      current = byStart.get(mark.source_start);
      from = 0;
      if (current)
        Object.assign(current, { written: mark.text, from: mark.start_ms, to: mark.end_ms });
    } else if (current) {
      const place = found(current, mark, from);
      if (place) from = place[1];
      current.words.push({ from: mark.start_ms, place });
    }
  }
}

/** Finds a word in its sentence: where it stands, else where its source stood. */
function found(sentence, mark, from) {
  const text = sentence.written;
  const at = text.toLowerCase().indexOf(mark.text.toLowerCase(), from);
  if (at >= 0 && at - from < 24) return [at, at + mark.text.length];
  if (text.length !== sentence.end - sentence.start || mark.source_end <= mark.source_start)
    return null;
  return [mark.source_start - sentence.start, mark.source_end - sentence.start];
}
