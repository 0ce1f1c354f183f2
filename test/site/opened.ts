/** A page as a user sees it, and what a user does not see: what it complains of, and whom it asks. */
import type { Browser, BrowserContext, Page } from "playwright-core";

/** `said`: errors and warnings of the console, and faults that nothing caught. `asked`: every address. The context is the caller's to close. */
export interface Opened { readonly page: Page; readonly context: BrowserContext; readonly said: Array<string>; readonly asked: Array<string> }

/** Width in CSS pixels, 1280 unless told. */
export interface How { readonly width?: number; readonly dark?: boolean }

export const opened = async (browser: Browser, address: string, how: How = {}): Promise<Opened> => {
  const context = await browser.newContext({ viewport: { width: how.width ?? 1280, height: 900 }, colorScheme: how.dark === true ? "dark" : "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const [said, asked]: [Array<string>, Array<string>] = [[], []];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") said.push(message.text());
  });
  page.on("pageerror", (error) => said.push(error.message));
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(address);
  return { page, context, said, asked };
};

/** Those asked that are not of the page's own server. */
export const elsewhere = (asked: ReadonlyArray<string>, address: string): ReadonlyArray<string> => asked.filter((one) => !one.startsWith(`${new URL(address).origin}/`) && !one.startsWith("data:"));
