//! A growing buffer of plain numbers that starts on a cache line.

/// Bytes of a cache line, and of the widest vector register.
const LINE: usize = 64;

/// One cache line. Only its alignment and size matter.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Numbers for which any bit pattern is a value.
///
/// # Safety
/// The type has no padding, no invalid bit pattern, and an alignment of at most 64.
pub(crate) unsafe trait Plain: Copy {}
// SAFETY: plain machine numbers, for which every bit pattern is a value.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for i8 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}

/// A vector of `T` whose first element is aligned to 64 bytes; new elements are zero.
#[derive(Clone)]
pub(crate) struct Aligned<T> {
    lines: Vec<Line>,
    len: usize,
    of: std::marker::PhantomData<T>,
}

impl<T: Plain> Aligned<T> {
    pub(crate) const fn new() -> Self {
        Self {
            lines: Vec::new(),
            len: 0,
            of: std::marker::PhantomData,
        }
    }

    /// Makes the length `len`. Keeps the memory when it is enough; what the elements then hold is any old value.
    pub(crate) fn resize_dirty(&mut self, len: usize) {
        let lines = len
            .checked_mul(size_of::<T>())
            .expect("a buffer fits in the address space")
            .div_ceil(LINE);
        if lines > self.lines.len() {
            self.lines.resize(lines, Line([0; LINE]));
        }
        self.len = len;
    }
}

impl<T: Plain> std::ops::Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `lines` holds at least `len * size_of::<T>()` initialised bytes, aligned to 64, and T takes any pattern.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> std::ops::DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
