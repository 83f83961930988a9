//! The system's allocator, with a count of what it has given out: memory that VmHWM cannot tell apart from program
//! text and libraries.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// To be a program's global allocator. Without it, [`peak`] knows nothing.
pub struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by its contract; every call is handed on unchanged")]
// SAFETY: every call goes to the system's allocator with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        grow(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn grow(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    // Most allocations are below the peak, and a load is cheaper than a store.
    if held > PEAK.load(Ordering::Relaxed) {
        PEAK.fetch_max(held, Ordering::Relaxed);
    }
}

/// Bytes given out and not yet returned; `None` if [`Counting`] is not this program's allocator.
pub fn held() -> Option<usize> {
    // A program that runs has allocated something.
    Some(HELD.load(Ordering::Relaxed)).filter(|held| *held > 0)
}

/// Makes what is held now the peak.
pub fn reset_peak() {
    PEAK.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Most bytes held at once since [`reset_peak`]; `None` if [`Counting`] is not this program's allocator.
pub fn peak() -> Option<usize> {
    held().map(|_| PEAK.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "it calls the allocator itself")]
    fn what_is_given_out_is_counted_and_what_is_returned_is_not() {
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        // SAFETY: the layout is not empty, and every pointer is used with the layout it came from.
        unsafe {
            let kept = Counting.alloc(Layout::from_size_align(100, 4).unwrap());
            reset_peak();
            let pointer = Counting.realloc(Counting.alloc_zeroed(layout), layout, 3 << 20);
            Counting.dealloc(pointer, Layout::from_size_align(3 << 20, 8).unwrap());
            assert_eq!((held(), peak()), (Some(100), Some(100 + (3 << 20))));
            Counting.dealloc(kept, Layout::from_size_align(100, 4).unwrap());
        }
        assert_eq!((held(), peak()), (None, None), "nothing else in this test uses it");
    }
}
