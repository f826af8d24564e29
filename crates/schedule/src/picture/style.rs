//! The picture's colours, for light and for dark surroundings. They stay apart for colour-blind eyes.

/// Opens every picture.
pub(super) const STYLE: &str = "<style>\
.paper{fill:#ffffff;stroke:#d5dae1}\
.title{font-size:21px;font-weight:600;fill:#16202e}\
.facts{font-size:13px;fill:#536072}\
.small{font-size:11.5px;fill:#536072}\
.worker{font-size:12.5px;fill:#16202e;text-anchor:end}\
.mark{text-anchor:middle}\
.label{font-size:10.5px;fill:#ffffff;text-anchor:middle;pointer-events:none}\
.lane{fill:#f1f4f8}\
.grid{stroke:#dfe4ea;stroke-width:1}\
.kept{fill:#2f7fc1;stroke:#ffffff;stroke-width:.4}\
.kept.odd{fill:#4a97d6}\
.repeated{fill:#d99100;stroke:#ffffff;stroke-width:.4}\
.aborted{fill:#d0482f;stroke:#ffffff;stroke-width:.4}\
.parked{fill:#a9b3bf;stroke:#ffffff;stroke-width:.4}\
.phase{fill:#7d6bb3}\
.collect{fill:#5f7285}\
.validate{fill:#8a94a1}\
.commit{fill:#138a72}\
.critical,.outlined{stroke:#0c131c;stroke-width:1.6}\
.critical{fill:none}\
.arrow{fill:none;stroke:#8f1f0d;stroke-width:1.2;opacity:.85}\
.head{fill:#8f1f0d}\
@media(prefers-color-scheme:dark){\
.paper{fill:#10161f;stroke:#2a3442}\
.title,.worker{fill:#e8edf3}\
.facts,.small{fill:#9fabba}\
.lane{fill:#18212d}\
.grid{stroke:#2a3442}\
.kept,.repeated,.aborted,.parked{stroke:#10161f}\
.collect{fill:#7f93a8}\
.critical,.outlined{stroke:#f2f5f9}\
.arrow{stroke:#ff9c86}\
.head{fill:#ff9c86}\
}</style>\
<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\">\
<path class=\"head\" d=\"M0,0 L8,4 L0,8 z\"/></marker></defs>";
