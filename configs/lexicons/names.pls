<?xml version="1.0" encoding="UTF-8"?>
<!-- Names that English voices get wrong; docs/lexicons.md says what may stand here. -->
<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
         alphabet="ipa" xml:lang="en">
  <lexeme>
    <grapheme>Siobhan</grapheme>
    <phoneme>ʃɪvˈɔːn</phoneme>
  </lexeme>
  <lexeme>
    <grapheme>Nguyen</grapheme>
    <alias>Win</alias>
  </lexeme>
  <lexeme>
    <grapheme>St John Rivers</grapheme>
    <grapheme>St. John Rivers</grapheme>
    <alias>Sinjun Rivers</alias>
  </lexeme>
  <lexeme>
    <grapheme>W3C</grapheme>
    <alias>World Wide Web Consortium</alias>
  </lexeme>
  <lexeme>
    <grapheme>SQL</grapheme>
    <phoneme>sˈiːkwəl</phoneme>
    <alias prefer="true">S Q L</alias>
  </lexeme>
</lexicon>
