/** A recorded routing: which experts a text used, layer by layer. Plain arrays, so that it travels to a worker as it is. */
export interface Routing {
  readonly layers: number;
  readonly experts: number;
  /** Experts that a token uses in a layer. */
  readonly active: number;
  /** Of each layer, the different experts of the prompt in the order of their last use: a prompt goes through a layer at once. */
  readonly prompt: ReadonlyArray<Int32Array>;
  /** Tokens that were generated. */
  readonly tokens: number;
  /** Experts by token, layer and rank. */
  readonly used: Int32Array;
}

/** A routing to be played: so many of its tokens go through the caches before the clock starts. */
export interface Replay { readonly routing: Routing; readonly skip: number }
