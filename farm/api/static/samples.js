/** A sentence to judge a voice by, in its language. */

const SAMPLES = {
  de: "Der Regen hatte aufgehört, und über den Dächern stand ein heller Morgen.",
  en: "The rain had stopped, and a bright morning stood above the roofs.",
  es: "La lluvia había cesado, y una mañana clara se alzaba sobre los tejados.",
  fr: "La pluie avait cessé, et un matin clair se levait au-dessus des toits.",
  it: "La pioggia era cessata, e un mattino chiaro si levava sopra i tetti.",
  nl: "De regen was opgehouden, en boven de daken stond een heldere ochtend.",
  pl: "Deszcz ustał, a nad dachami wstawał jasny poranek.",
  pt: "A chuva tinha parado, e uma manhã clara erguia-se sobre os telhados.",
  ru: "Дождь прекратился, и над крышами стояло ясное утро.",
  uk: "Дощ ущух, і над дахами стояв ясний ранок.",
  zh: "雨停了，屋顶上是一个明亮的早晨。",
};

export const sample = (language) => SAMPLES[language.split("-")[0].toLowerCase()] ?? SAMPLES.en;
