"""Start time, idle CPU, endpoint silence over 30 questions."""
import time, sys, statistics, psutil, multiprocessing, numpy as np, os
from tests.listen.harness import *
from tests.listen import harness
from appliance.events import *
from appliance.commands import *
from tests.speech import say
from tests.benchmarks.speech_clips import SENTENCES
def main():
    if "start" in sys.argv:
        for _ in range(5):
            t=time.monotonic()
            with real_process(ListenSettings()) as b:
                r=b.next(Ready); print("start to Ready", round(r.at-t,3), "load_ms", round(r.load_ms,1), os.getloadavg()[0])
    if "idle" in sys.argv:
        with real_process(ListenSettings()) as b:
            b.next(Ready); pid=multiprocessing.active_children()[0].pid
            b.say(hush(5.0),1.0)
            p=psutil.Process(pid); a=p.cpu_times(); t=time.monotonic()
            b.say(hush(20.0),1.0)
            c=p.cpu_times(); dt=time.monotonic()-t
            print("idle CPU %.2f %%"%(100*(c.user+c.system-a.user-a.system)/dt), "rss MB", p.memory_info().rss>>20)
    if "ends" in sys.argv:
        qs=[q for q in SENTENCES if len(q.split())>2][:30]
        sounds=[say(q,0.4,0.0) for q in qs]
        rows=[]
        with real_process(ListenSettings()) as b:
            b.next(Ready); b.say(hush(3.0),1.0)
            for n,(q,x) in enumerate(zip(qs,sounds),1):
                lvl=np.convolve(np.abs(x.astype(float)),np.ones(160)/160,"same"); end_rel=int(np.nonzero(lvl>200)[0][-1])
                base=b.ring.position
                b.channel.send(OpenMicrophone(turn_id=n, position=base))
                t0=time.monotonic()
                b.say(np.concatenate((x,hush(1.6))),1.0)
                ms=b.drain(0.05); e=next((m for m in ms if isinstance(m,UtteranceEnded)),None)
                if e is None: print("NONE",q,ms); continue
                true_end=t0+end_rel/16000
                rows.append((e.silence_ms,(e.at-true_end)*1000,e.reason,e.probability)); print(q,round(e.silence_ms),round((e.at-true_end)*1000),e.reason,round(e.probability,2),flush=True)
            b.channel.send(Ping(n=1)); print(b.next(Pong).stats)
        s=[r[0] for r in rows]; w=[r[1] for r in rows]
        print("complete",sum(r[2]=="complete" for r in rows),"of",len(rows),"silence median",statistics.median(s),"p95",sorted(s)[int(.95*len(s))],"wall from audible end: median",statistics.median(w),"p95",sorted(w)[int(.95*len(w))], os.getloadavg())
if __name__=="__main__": main()
