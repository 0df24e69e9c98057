/* The loss curve: training thin, validation thick, the kept checkpoint marked. */
(() => {
  "use strict";

  const element = document.getElementById("curve");
  if (!element) return;
  const words = element.dataset;
  const every = 2000;
  let chart = null;
  let mark = "";
  let last = null;

  /* A custom property is text until something is painted with it; a probe says what it becomes. */
  const colour = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    element.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const say = (text) => {
    if (chart) return;
    const message = document.createElement("p");
    message.className = "curve-message";
    message.textContent = text;
    element.replaceChildren(message);
  };

  const line = (name, data, more) => ({
    name,
    type: "line",
    data,
    showSymbol: false,
    animation: false,
    emphasis: { disabled: true },
    ...more,
  });

  const options = (figures) => {
    const ink = colour("--ink-faint");
    const rule = colour("--line");
    const tuned = colour("--data-tuned");
    const font = getComputedStyle(document.body).fontFamily;
    const kept = figures.kept && {
      symbol: "circle",
      symbolSize: 10,
      animation: false,
      itemStyle: { color: colour("--paper"), borderColor: tuned, borderWidth: 2 },
      label: {
        show: true,
        position: "top",
        formatter: `${words.kept} · ${figures.kept[1].toFixed(3)}`,
        color: colour("--ink"),
        fontFamily: font,
        fontSize: 12,
        fontWeight: 500,
      },
      data: [{ coord: figures.kept }],
    };
    const axis = {
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { color: ink, fontFamily: font, fontSize: 12 },
      splitLine: { lineStyle: { color: rule } },
    };
    return {
      grid: { left: 8, right: 48, top: 28, bottom: 4, containLabel: true },
      xAxis: {
        ...axis,
        type: "value",
        min: 0,
        /* While it runs, the whole way is drawn, so that the picture does not rescale under the eye. */
        max: figures.live && figures.steps ? figures.steps : "dataMax",
        name: words.step,
        nameTextStyle: { color: ink, fontFamily: font },
        splitLine: { show: false },
        nameGap: 6,
      },
      yAxis: { ...axis, type: "value", scale: true, splitNumber: 4 },
      tooltip: {
        trigger: "axis",
        /* Drawn on the canvas: an HTML tooltip would need inline styles, which the policy refuses. */
        renderMode: "richText",
        confine: true,
        backgroundColor: colour("--raised"),
        borderColor: colour("--line-strong"),
        borderRadius: 6,
        shadowBlur: 0,
        shadowColor: "transparent",
        textStyle: { color: colour("--ink"), fontFamily: font, fontSize: 12 },
        axisPointer: { lineStyle: { color: ink, type: "solid", width: 1 } },
        formatter: (points) =>
          [
            `${words.step} ${points[0].value[0]}`,
            ...points.map((point) => `${point.seriesName}  ${point.value[1].toFixed(3)}`),
          ].join("\n"),
      },
      series: [
        line(words.train, figures.train, {
          lineStyle: { color: colour("--data-base"), width: 1, opacity: 0.9 },
          itemStyle: { color: colour("--data-base") },
        }),
        line(words.validation, figures.validation, {
          lineStyle: { color: tuned, width: 3 },
          itemStyle: { color: tuned },
          showSymbol: figures.validation.length === 1,
          markPoint: kept || undefined,
          z: 3,
        }),
      ],
    };
  };

  const draw = (figures) => {
    last = figures;
    if (!figures.train.length && !figures.validation.length) {
      say(figures.live ? words.empty : words.none);
      return;
    }
    if (!chart) {
      element.replaceChildren();
      chart = window.echarts.init(element, null, { renderer: "canvas" });
      new ResizeObserver(() => chart.resize()).observe(element);
    }
    chart.setOption(options(figures), { notMerge: true });
  };

  const look = async () => {
    let goOn = true;
    try {
      const answer = await fetch(`${words.url}?seen=${encodeURIComponent(mark)}`, {
        headers: { Accept: "application/json" },
      });
      if (answer.status === 200) {
        const figures = await answer.json();
        mark = figures.mark;
        draw(figures);
        goOn = figures.live;
      } else if (answer.status !== 204) {
        say(words.broken);
        goOn = answer.status >= 500;
      }
    } catch {
      say(words.broken);
    }
    if (goOn) setTimeout(look, document.hidden ? 5 * every : every);
  };

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (chart) chart.setOption(options(last), { notMerge: true });
  });

  look();
})();
