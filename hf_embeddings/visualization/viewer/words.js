// The words of the page, in English and in Chinese.

const WORDS = {
  en: {
    search: "search {count} points", found: "{count} found", colour: "colour", whole: "whole map", save: "save SVG", light: "light", dark: "dark",
    pin: "pin", unpin: "unpin", nearest: "nearest, by cosine in the full space", none: "none", hide: "show or hide", travelled: "distance travelled",
    play: "play", pause: "pause", stage: "stage of training",
    map: "map of {count} points; arrow keys move, plus and minus zoom, n and p go from point to point, Enter pins",
    help: "Drag to move, scroll or pinch to zoom, click to pin. Keys: arrows, + \u2212 0, n p, Enter, / to search.",
    help3: "Drag to turn, with Shift to move, scroll or pinch to zoom, click to pin. Keys: arrows, + \u2212 0, n p, Enter, / to search.",
  },
  zh: {
    search: "在 {count} 个点中查找", found: "找到 {count} 个", colour: "颜色", whole: "全图", save: "存为 SVG", light: "浅色", dark: "深色",
    pin: "固定", unpin: "取消固定", nearest: "最近的点（按原空间的余弦）", none: "无", hide: "显示或隐藏", travelled: "移动距离",
    play: "播放", pause: "暂停", stage: "训练阶段",
    map: "{count} 个点的图；方向键移动，加减号缩放，n 和 p 逐点移动，回车键固定",
    help: "拖动平移，滚轮或双指缩放，点击固定。按键：方向键，+ \u2212 0，n p，回车，/ 查找。",
    help3: "拖动旋转，按住 Shift 平移，滚轮或双指缩放，点击固定。按键：方向键，+ \u2212 0，n p，回车，/ 查找。",
  },
};

/** Return the words for a key, with {names} filled in. */
const say = (key, fields = {}) => WORDS[chosen.language][key].replace(/\{(\w+)\}/g, (_, name) => fields[name]);
