//! Softmax attention (Vaswani et al. 2017), a block of keys at a time as in FlashAttention
//! (Dao et al. 2022).
//!
//! For each image and each head, whose vectors are `d = C / heads` consecutive channels, with
//! `s_ij = d^(-1/2) q_i . k_j`,
//!
//! `L_i = ln sum over j of e^s_ij`, `p_ij = e^(s_ij - L_i)`, `o_i = sum over j of p_ij v_j`.
//!
//! The T x T scores are never in memory at once: a task holds those of one block of queries with
//! [`KEYS`](block::KEYS) keys. Queries are the lanes of vectors, so that greatest score and sum
//! of each are taken without crossing lanes, and keys and values are read where they lie. Up to
//! [`KEYS`](block::KEYS) tokens one block holds all keys, and what follows is the textbook's
//! softmax. Beyond, the block form pays: scores stay in the first-level cache, where T of them
//! for each query would leave it, for one rescaling of the outputs a block.

mod backward;
mod block;
mod forward;
mod part;
mod shape;

pub use backward::{Gradients, backward};
pub use forward::{Forward, forward};
pub use shape::Shape;
