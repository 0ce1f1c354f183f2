//! What every lasting call has in common.

/// Makes a type with `fn work(&mut self) -> Result<Done, Failure>` a task of libuv's worker threads, and the type of its outcome: either the
/// failure or the report; a panic in it comes back as a failure of ours. (A macro, because napi's derive takes no type parameters.)
macro_rules! task {
    ($task:ident, $done:ident, $outcome:ident) => {
        /// One of the two.
        #[napi(object)]
        pub struct $outcome {
            /// It went wrong.
            pub failure: Option<Failure>,
            /// It went well.
            pub report: Option<$done>,
        }

        #[napi]
        impl napi::Task for $task {
            type Output = Result<$done, Failure>;
            type JsValue = $outcome;

            fn compute(&mut self) -> napi::Result<Self::Output> {
                Ok(crate::failure::guarded(|| self.work()))
            }

            fn resolve(&mut self, _: napi::Env, output: Self::Output) -> napi::Result<Self::JsValue> {
                Ok(match output {
                    Ok(report) => $outcome {
                        failure: None,
                        report: Some(report),
                    },
                    Err(failure) => $outcome {
                        failure: Some(failure),
                        report: None,
                    },
                })
            }
        }
    };
}
