/** The pages in the order of the story, as the list of pages and the start page show them. */
export interface Page { readonly file: string; readonly name: string; readonly about: string }

export const PAGES: ReadonlyArray<Page> = [
  { file: "index.html", name: "Start", about: "" },
  { file: "phone.html", name: "The phone in your browser", about: "Run the simulator here: give a phone less memory or a faster flash, and see at once what becomes of it." },
  { file: "why-flash-is-slow.html", name: "Why flash is slow", about: "What a phone's storage gives, by block, range and core, and what that does to systems made for PCs." },
  { file: "hot-and-cold.html", name: "Hot and cold", about: "Few neurons fire often, most of them rarely; which unit should compute which." },
  { file: "segmented-cache.html", name: "The segmented cache", about: "Memory in two parts: the hottest neurons for good, the most recent ones for as long as they last." },
  { file: "trained-model.html", name: "A trained model", about: "A model trained here, its neurons recorded: which of the simulator's assumptions hold, and what the others cost." },
  { file: "pipeline.html", name: "The cluster pipeline", about: "One token from the first read to the last multiplication, on a timeline that you can go into." },
  { file: "planning.html", name: "Planning for 19 GB", about: "What a model of 26 GB does with 6.7, 12.9 and 19 GiB of memory, and how a plan divides them." },
  { file: "this-machine.html", name: "This machine", about: "Predicted and measured, run by run: how far the simulator can be trusted." },
  { file: "llama-cpp.html", name: "llama.cpp beside it", about: "The same models under the same limits of memory, in llama.cpp and in our engine." },
  { file: "sweeps.html", name: "Sweeps", about: "What varies and what comes of it: a sweep while it runs, or those of your own store." },
];
