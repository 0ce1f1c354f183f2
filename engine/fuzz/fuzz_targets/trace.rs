//! Activation traces under libFuzzer: a value or an error, and nothing told of neurons that the trace's model has not.
#![no_main]

mod scratch;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut last = 0;
    let _ = trace::read(scratch::file(bytes), &mut |shape, fired| {
        assert!(fired.place >= last && fired.layer < shape.layers as usize);
        last = fired.place;
        for (expert, neurons) in fired.experts {
            assert!(expert < shape.experts);
            assert!(neurons.iter().all(|&neuron| neuron < shape.neurons));
        }
    });
});
