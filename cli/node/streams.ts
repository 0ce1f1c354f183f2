/** A standard stream. A reader that has seen enough (`| head`) is no fault of anybody's. */
export const tolerant = (stream: NodeJS.WriteStream): NodeJS.WriteStream => {
  if (stream.listenerCount("error") === 0)
    stream.on("error", (fault: NodeJS.ErrnoException) => {
      if (fault.code !== "EPIPE") throw fault;
    });
  return stream;
};
