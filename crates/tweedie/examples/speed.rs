use std::time::Instant;
use tweedie::{engine::Engine, nn::*, nn::unet::UNetConfig};
fn main() {
    if std::env::var("KEEP").is_ok() { tweedie::memory::keep_freed_memory(); }
    for (name, widths, layers, groups, side, batch) in [
        ("digits (32,64)", vec![32,64], 1, 8, 8usize, 128usize),
        ("digits (32,64) 2", vec![32,64], 2, 8, 8usize, 128usize),
        ("mnist (32,64,64)", vec![32,64,64], 1, 8, 28, 64),
        ("mnist (16,32,64)", vec![16,32,64], 1, 8, 28, 64),
        ("mnist (32,32,64)", vec![32,32,64], 1, 8, 28, 64),
    ] {
        let cfg = NetworkConfig { unet: Some(UNetConfig { block_out_channels: widths, layers_per_block: layers, norm_num_groups: groups, attention_head_dim: 0, ..Default::default() }), ..Default::default() };
        let dev = Engine::Flex.device().unwrap().autodiff();
        let net = Network::new(&cfg, &[1,side,side], 0, &dev).unwrap();
        let np: usize = net.parameters().iter().map(|p| p.values.len()).sum();
        let sig = vec![1.0; batch];
        let x = vec![0.3f32; batch*side*side];
        let plain = net.without_gradients();
        let mut tf = vec![]; let mut tt = vec![];
        for _ in 0..6 { let t=Instant::now(); let _ = params::to_vec(plain.forward(x.clone(), &sig)); tf.push(t.elapsed().as_secs_f64()); }
        for _ in 0..6 { let t=Instant::now(); let mut g = net.forward(x.clone(), &sig).square().mean().backward(); let _ = net.gradients(&mut g); tt.push(t.elapsed().as_secs_f64()); }
        tf.sort_by(f64::total_cmp); tt.sort_by(f64::total_cmp);
        println!("{name}: {np} params, forward {:.1} ms, step {:.1} ms", tf[2]*1e3, tt[2]*1e3);
        // batch invariance
        let one = |n: usize| { let x: Vec<f32> = (0..n*side*side).map(|i| ((i * 37 % 101) as f32)/50.0-1.0).collect(); params::to_vec(plain.forward(x, &vec![2.0;n])) };
        let (a,b,c,d)=(one(64),one(16),one(3),one(1));
        let eq=|a:&[f32],b:&[f32]| a.iter().zip(b).filter(|(x,y)| x.to_bits()!=y.to_bits()).count();
        println!("  bits that differ 64 vs 16: {}, vs 3: {}, vs 1: {}", eq(&a,&b), eq(&a,&c), eq(&a,&d));
    }
}
