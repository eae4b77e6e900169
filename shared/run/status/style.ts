/** The look of the pages: paper by day, porch by night. One string, so that the policy can name its hash. */
export const STYLE = `
:root{--ground:#f6f3ec;--sheet:#fffdf8;--ink:#25211b;--soft:#655d51;--line:#e3dccf;--few:#b9ae9b;
--lamp:#b9731c;--glow:#f6d18b;--ok:#2c7048;--warn:#93550a;--down:#a8281f;--tint:#f3ece0}
@media (prefers-color-scheme:dark){:root{--ground:#12141a;--sheet:#1a1d25;--ink:#ece6da;--soft:#a9a294;--line:#2d313c;
--few:#5d6170;--lamp:#e9ae53;--glow:#5d4620;--ok:#86cfa3;--warn:#ecb15e;--down:#ff9284;--tint:#22262f}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:72rem;padding:2rem clamp(1.1rem,4vw,2.5rem) 3rem;background:var(--ground);color:var(--ink);
font:1rem/1.5 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;font-variant-numeric:tabular-nums}
h1,.says{font-family:ui-serif,"Iowan Old Style",Charter,"Palatino Linotype",Georgia,serif}
header{display:flex;gap:.9rem;align-items:center;margin-bottom:1.75rem}
.brand{margin:0;color:var(--soft);font-size:.8125rem;letter-spacing:.09em;text-transform:uppercase;line-height:1.3}
h1{margin:0;font-size:2rem;font-weight:500;letter-spacing:-.01em;line-height:1.1}
h2{margin:0;font-size:1rem;font-weight:600;line-height:1.35}
small{font-size:.8125rem;font-weight:400;color:var(--soft)}
a{color:inherit;text-decoration-color:var(--lamp);text-underline-offset:.2em}
a:hover{color:var(--lamp)}
a:focus-visible{outline:2px solid var(--lamp);outline-offset:3px;border-radius:2px}
svg{display:block;overflow:visible}
.lamp{width:3rem;height:3rem;flex:none}
.lamp .glow{fill:var(--glow);opacity:.55}
.lamp .glass{fill:var(--glow);stroke:var(--ink);stroke-width:1.5;stroke-linejoin:round}
.lamp .iron{fill:var(--ink);stroke:var(--ink);stroke-width:1.5;stroke-linejoin:round;stroke-linecap:round}
@media (prefers-color-scheme:dark){.lamp .glass{fill:var(--lamp)}.lamp .glow{opacity:.8}}
.lamp.down .glow{opacity:0}.lamp.down .glass{fill:none}
.sign{width:.75em;height:.75em;fill:var(--soft);flex:none}
.sign.ok{fill:var(--ok)}.sign.warn{fill:var(--warn)}.sign.down{fill:var(--down)}
.verdict{margin-bottom:2.5rem}
.says{display:flex;gap:.55em;align-items:baseline;margin:0;font-size:clamp(1.35rem,1.1rem + 1.4vw,1.75rem);line-height:1.3}
.says .sign{width:.6em;height:.6em}
.facts{margin:.4rem 0 0;color:var(--soft);font-size:.875rem;display:flex;flex-wrap:wrap;gap:.15rem 1.4rem}
.hops{list-style:none;margin:1rem 0 2.75rem;padding:0;display:grid;grid-template-columns:repeat(4,1fr)}
.hops li{position:relative;display:flex;flex-direction:column;padding-right:1.25rem}
.hops li::before{content:"";position:absolute;top:.5rem;left:1.6rem;right:.4rem;border-top:1.5px solid var(--line)}
.hops li:last-child::before{display:none}
.hops .stop{display:flex;align-items:center;height:1rem;margin-bottom:.6rem}
.hops .sign{width:1rem;height:1rem}
.hops .name{font-weight:600}
.hops .here .name small{margin-left:.25rem;padding:.05rem .45rem;border-radius:1rem;background:var(--tint);white-space:nowrap}
.hops .state{font-size:.9375rem}
.hops .ok .state{color:var(--ok)}.hops .warn .state{color:var(--warn)}.hops .down .state{color:var(--down)}
.hops .idle .state,.hops .unseen .state{color:var(--soft)}
.hops .detail{font-size:.875rem;color:var(--soft);line-height:1.4}
.hour{margin:0 0 1rem;color:var(--soft)}
.panels{display:grid;gap:1.25rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));align-items:start}
.panel{background:var(--sheet);border:1px solid var(--line);border-radius:.75rem;padding:1.25rem 1.4rem 1.1rem}
.panel>p{margin:.1rem 0 .6rem;color:var(--soft);font-size:.875rem}
dl{margin:0}
.row{display:grid;grid-template-columns:minmax(9rem,1fr) auto;gap:.3rem 1rem;align-items:baseline;padding:.8rem 0 .7rem;border-top:1px solid var(--line)}
dt{font-size:.9375rem}
dd{margin:0}
.value{font-size:1.125rem;font-weight:600;text-align:right;white-space:nowrap}
.value.word{font-size:.9375rem;font-weight:400;display:flex;gap:.5em;align-items:baseline;justify-content:flex-end;white-space:normal}
.courses{grid-column:1/-1;display:grid;grid-template-columns:1fr 1fr;gap:1.25rem;margin-top:.25rem}
.courses:has(>:only-child){grid-template-columns:1fr}
.courses.wide{display:block}
.courses small{display:block;margin-top:.2rem;font-size:.75rem}
.course{width:100%;height:1.75rem}
.bars{fill:var(--lamp)}.level{fill:none;stroke:var(--lamp);stroke-width:1.5;vector-effect:non-scaling-stroke}.few{fill:var(--few)}
.floor{fill:none;stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
.latency{width:100%;max-width:26rem;height:auto;margin-left:-.6rem}
.latency text{font-size:10.5px;fill:var(--soft)}
.latency .thin,.latency .thick{fill:none;stroke:var(--lamp);stroke-linecap:round}
.latency .thin{stroke-width:1.5}.latency .thick{stroke-width:5}
.latency .half{fill:var(--sheet);stroke:var(--lamp);stroke-width:2.5}
.courses b{color:var(--ink);font-weight:600}
.of-shares dt{grid-column:1/-1}
.table{grid-column:1/-1}
table{width:100%;border-collapse:collapse;font-size:.9375rem}
th,td{padding:.28rem 0;text-align:right;font-weight:400;vertical-align:baseline;white-space:nowrap}
thead th{font-size:.75rem;color:var(--soft)}
thead th,tbody td{padding-left:1rem}
th:first-child{text-align:left;padding-left:0;white-space:normal}
thead th:first-child{visibility:hidden}
tbody th{position:relative;padding-left:1.35em!important;line-height:1.3}
tbody .sign{position:absolute;left:0;top:.62em}
.bar{width:30%}
.share{width:100%;height:.4rem;margin-bottom:.15rem}
footer{margin-top:2.5rem;color:var(--soft);font-size:.875rem;max-width:44rem}
footer p{margin:0 0 .6rem}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1.5rem}
@media (max-width:44rem){
body{padding-top:1.4rem}
.verdict{margin-bottom:2rem}
.hops{grid-template-columns:1fr;margin-bottom:2rem}
.hops li{display:grid;grid-template-columns:1.75rem 1fr auto;padding:0 0 1.1rem}
.hops li::before{top:1.6rem;bottom:.1rem;left:.45rem;right:auto;border-top:0;border-left:1.5px solid var(--line)}
.hops .stop{height:1.5rem;margin:0}
.hops .detail{grid-column:2/-1}
.panel{padding:1.1rem 1.1rem .9rem}
.bar,thead td{display:none}
}
`;
