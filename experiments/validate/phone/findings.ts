/** What the errors of the recorded runs say of the model, in words; the numbers beside them are the page's own. */
export const findings = `## What the model gets wrong, and what it lacks

- **Reads are waited for too long.** Stall is predicted too long in every overlapped cell. The phone's table of lanes and blocks is one session's, and the flash of the recorded runs was often faster than its best row
  (2.68 GB/s): gpt-oss-120b without a cache had four lanes busy for 2280 ms a token in all to read 1817 MiB, which is 3.3 GB/s while all four read. The profile knows one curve; what makes the
  device faster from session to session (clocks, heat, how a file lies) is not in it.
- **The start of a layer's reads is one number here**, and the three calibration cells do not agree on it: without a cache it would be less, with two lanes more. What a reader waits for at the beginning and at the end of a
  burst is modelled too simply.
- **One setting, four speeds.** Gemma with 2000 MiB, four lanes and overlap was recorded four times, at 2.77 to 3.16 tokens/s, with the rest (less room) from 137 to about 190 ms. The clocks of
  the cores were not recorded with these runs, so the model predicts one number for all four.
- **Computing of gpt-oss-120b swings.** Many of its tokens take several times the fastest ones' rest, at the same stall and hardly a page fault: the mean and the middle token differ by up to a third. Something took the
  cores away or slowed them; the model has no such state. The error of the middle token is shown beside that of the mean for this reason.
- **A mapped file is far slower than predicted.** The recorded tokens lie between 0.3 and 7 seconds. Our page cache keeps what two lists keep; the phone's system also took away dense weights and swapped, which is not modelled.
- **Memory taken away** (contaminated cells) is not modelled either: what is predicted there is the clean run.
- **Overlap that loses** (Qwen3-30B without a cache, in the source's notes; not among these files) does not come out of the model: nothing that reads takes anything from what computes but the bus, so overlap here gains or breaks even.
- **Reading ahead of the router** was recorded as a loss in the source's notes; it is not modelled, and a run with it is refused.`;
